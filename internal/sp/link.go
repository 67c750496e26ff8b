package sp

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// ipcMessage is the byte that precedes each message on ipc.
const ipcMessage = 0x01

// link speaks SP over a network connection. Its endpoint owns it until it is
// closed.
type link struct {
	net            net.Conn  // the TLS connection, if any, after its handshake
	bare           net.Conn  // the connection below TLS
	try            tryWriter // writes to net; nil if it can only block
	endpoint       *endpoint
	ipc            bool
	in             *bufio.Reader
	readBy         time.Time     // the handshake's deadline for the other side
	extensions     int           // of readBy, so far
	waited         time.Duration // for turns, in the handshake of TLS
	close          func() error
	protectedUntil atomic.Int64 // see handshake
	made           time.Time
	lastRead       atomic.Int64 // nanoseconds since made; dialed links only
	sent           atomic.Int64 // bytes below TLS since the handshakes
	timedOut       atomic.Bool  // nothing has arrived at the other side for too long

	changes    bool          // the subscription is in changes
	have       *uint64       // sum of the list the subscriber had; nil if none
	beat       time.Duration // announced by the server; zero in the plain form
	resumption *resumption   // nil unless dialed to a publisher
	awaited    bool          // attempts failed before the dialer's first link
	dialed     bool          // and not accepted

	mu   sync.Mutex  // guards writing
	out  []byte      // reused for short messages
	rest net.Buffers // left by trySend for sendRest
}

// tryWriter is a connection that can be written to without blocking.
type tryWriter interface {
	// TryWrite writes as much as it can without blocking.
	TryWrite(bytes []byte) (n int, err error)
}

// newTryWriter returns nil if nc can only be written to with blocking.
func newTryWriter(nc net.Conn) tryWriter {
	switch c := nc.(type) {
	case tryWriter:
		return c
	case syscall.Conn:
		if raw, err := c.SyscallConn(); err == nil {
			return rawWriter{raw}
		}
	}
	return nil
}

// rawWriter bypasses package net and writes to the system directly.
type rawWriter struct{ syscall.RawConn }

func (w rawWriter) TryWrite(bytes []byte) (int, error) { return tryWrite(w.RawConn, bytes) }

// unread reports whether bytes have arrived that have not been read yet. It
// reports false on systems that cannot tell.
func (l *link) unread() bool {
	switch c := l.bare.(type) {
	case interface{ Unread() bool }:
		return c.Unread()
	case syscall.Conn:
		raw, err := c.SyscallConn()
		return err == nil && unread(raw)
	}
	return false
}

// unacked returns how many bytes the system has that the other side's system has
// not acknowledged. It returns false where that is unknown.
func (l *link) unacked() (bytes int, known bool) {
	switch c := l.bare.(type) {
	case interface{ Unacked() int }:
		return c.Unacked(), true
	case syscall.Conn:
		if raw, err := c.SyscallConn(); err == nil && !l.ipc {
			return unacked(raw)
		}
	}
	return 0, false
}

// wrote records a write to net. The bytes of TLS count below it.
func (l *link) wrote(n int64, err error) {
	if l.net == l.bare {
		l.sent.Add(n)
	}
	l.failed(err)
}

// failed records an error of net, or nil.
func (l *link) failed(err error) {
	if err != nil && isNoPath(err) {
		l.timedOut.Store(true)
	}
}

// newLink returns a link that the endpoint owns. If the endpoint is closed it
// closes nc and returns nil.
func newLink(nc net.Conn, e *endpoint, a Address) *link {
	l := &link{net: nc, bare: nc, endpoint: e, ipc: !a.isTCP(), made: time.Now()}
	l.close = sync.OnceValue(func() error {
		err := nc.Close()
		e.disown(l)
		return err
	})
	if !e.own(l) {
		_ = nc.Close()
		return nil
	}
	return l
}

func (l *link) Close() error { return l.close() }

// handshake performs the SP handshake, over TLS if config is not nil. The
// other side may be silent for at most patience in total.
func (l *link) handshake(config *tls.Config, patience time.Duration) (err error) {
	if config != nil {
		if patience, err = l.handshakeTLS(config, patience); err != nil {
			return explain(err)
		}
	}
	if err := l.setReadDeadline(patience); err != nil {
		return err
	}
	if config == nil {
		l.protectedUntil.Store(time.Now().Add(helloGrace).UnixNano())
	}
	l.in = bufio.NewReaderSize(patientReader{l}, readBuffer)
	if err := l.exchangeHello(); err != nil {
		return explain(err)
	}
	if l.changes && !l.dialed {
		l.protectedUntil.Store(time.Now().Add(begunGrace).UnixNano())
		if err := l.welcome(patience); err != nil {
			return explain(err)
		}
	}
	l.protectedUntil.Store(math.MaxInt64)
	l.try = newTryWriter(l.net)
	return l.net.SetDeadline(time.Time{})
}

// handshakeTLS performs the TLS handshake. It returns how much of patience is
// left, but at least minHelloTime.
func (l *link) handshakeTLS(config *tls.Config, patience time.Duration) (left time.Duration, err error) {
	hs := &tlsHandshakeConn{Conn: l.net, endpoint: l.endpoint, protectedUntil: &l.protectedUntil, sent: &l.sent, left: patience}
	defer func() {
		hs.end()
		l.waited = hs.waited
	}()
	var tc *tls.Conn
	if !l.dialed {
		tc = tls.Server(hs, config)
	} else {
		// A client's part completes a handshake that its server has begun.
		hs.begun = true
		tc = tls.Client(hs, hs.withoutTurns(config))
	}
	if err := tc.Handshake(); err != nil {
		return 0, cmp.Or(hs.failed, err)
	}
	l.net = tc
	return max(hs.left, minHelloTime), nil
}

// exchangeHello exchanges the 8 bytes with which each side of an SP connection
// begins.
func (l *link) exchangeHello() error {
	p := l.endpoint.Side
	self := p.self
	if l.changes {
		self = changesProtocol
	}
	hello := [8]byte{0, 'S', 'P', 0}
	binary.BigEndian.PutUint16(hello[4:], self)
	if err := l.setWriteDeadline(); err != nil {
		return err
	}
	if _, err := l.net.Write(hello[:]); err != nil {
		return err
	}
	var got [8]byte
	if n, err := io.ReadFull(l.in, got[:]); err != nil {
		if isTLSRecord(got[:n]) {
			return errTLS
		}
		return err
	}
	if isTLSRecord(got[:]) {
		return errTLS
	}
	if [4]byte(got[:4]) != [4]byte{0, 'S', 'P', 0} || got[6] != 0 || got[7] != 0 {
		return errNotSP
	}
	theirs := binary.BigEndian.Uint16(got[4:])
	if theirs == changesProtocol && p.changes && !l.dialed {
		l.changes = true
		return nil
	}
	if theirs != p.peer {
		return fmt.Errorf("%w: it speaks %#02x, want %#02x (%s)", errOtherProtocol, theirs, p.peer, p.peerName)
	}
	return nil
}

// welcome starts a subscription in changes on the server's side. The subscriber
// gets a new deadline for its answer.
func (l *link) welcome(patience time.Duration) error {
	if err := l.sendShort(wire.EncodeWelcome(l.endpoint.Beat)); err != nil {
		return err
	}
	if err := l.setReadDeadline(patience); err != nil {
		return err
	}
	body, err := l.receiveShort()
	if err == nil {
		l.have, err = wire.DecodeHave(body)
	}
	return err
}

// subscribe starts a subscription in changes on the subscriber's side. The
// error matches errNoChanges if the publisher sends no WELCOME. One that closes
// the connection late may just be busy.
func (l *link) subscribe(patience time.Duration) error {
	begun := time.Now()
	if err := l.setReadDeadline(patience); err != nil {
		return err
	}
	body, err := l.receiveShort()
	if err == nil {
		l.beat, err = wire.DecodeWelcome(body)
	}
	if err = explain(err); errors.Is(err, errHungUp) && time.Since(begun) > maxRefusalDelay {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errNoChanges, err)
	}
	if err := l.sendShort(wire.EncodeHave(l.resumption.have())); err != nil {
		return explain(err)
	}
	return l.net.SetDeadline(time.Time{})
}

// setReadDeadline sets for how long the other side may be silent.
func (l *link) setReadDeadline(patience time.Duration) error {
	l.readBy = time.Now().Add(patience)
	return l.net.SetReadDeadline(l.readBy)
}

// setWriteDeadline gives the next write of the handshake a full HandshakeTime,
// even if this process is late.
func (l *link) setWriteDeadline() error { return l.net.SetWriteDeadline(time.Now().Add(HandshakeTime)) }

// sendShort sends a message that is part of the handshake.
func (l *link) sendShort(body []byte) error {
	if err := l.setWriteDeadline(); err != nil {
		return err
	}
	return l.send(nil, body)
}

// receiveShort receives a message that is part of the handshake.
func (l *link) receiveShort() ([]byte, error) {
	length, err := l.receiveLength()
	if err != nil {
		return nil, err
	}
	if length > maxHandshakeMessage {
		return nil, wire.ErrMalformed
	}
	body := make([]byte, length)
	return body, l.read(body)
}

// patientReader reads from a link, and records when it has read something. If
// the deadline of the handshake has long passed although unread bytes have
// arrived, this process is late and not the other side. The reader then extends
// the deadline, at most maxExtensions times. Bytes that arrive at the last
// moment are read, but extend nothing.
type patientReader struct{ *link }

func (t patientReader) Read(p []byte) (int, error) {
	for {
		n, err := t.net.Read(p)
		t.failed(err)
		if n > 0 && t.dialed {
			t.lastRead.Store(int64(time.Since(t.made)))
		}
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || t.extensions == maxExtensions || !t.unread() {
			return n, err
		}
		t.extensions++
		extension := HandshakeTime
		if time.Since(t.readBy) < lateAfter {
			extension = lateAfter
		}
		if err := t.setReadDeadline(extension); err != nil {
			return 0, err
		}
	}
}

// isTLSRecord reports whether bytes start with the record of a TLS alert or
// handshake message (RFC 8446, section 5.1).
func isTLSRecord(bytes []byte) bool {
	const alert, handshake, major = 21, 22, 3
	return len(bytes) >= 2 && (bytes[0] == alert || bytes[0] == handshake) && bytes[1] == major
}

// explain names the likely cause of an error during a handshake.
func explain(err error) error {
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &record):
		return fmt.Errorf("%w: %w", errNoTLS, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, ErrnoReset), errors.Is(err, errnoPipe):
		return fmt.Errorf("%w: %w", errHungUp, err)
	case errors.Is(err, net.ErrClosed):
		return errGaveWay
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: %w", errSlowHandshake, err)
	}
	return err
}

// send sends a message, given in two parts. It may be called concurrently.
func (l *link) send(header, body []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	parts := l.frame(header, body)
	var n int64
	var err error
	if len(parts) == 1 {
		var wrote int
		wrote, err = l.net.Write(parts[0])
		n = int64(wrote)
	} else {
		n, err = parts.WriteTo(l.net)
	}
	l.wrote(n, err)
	return err
}

// trySend sends as much of a message as it can without blocking, and nothing of
// a long one. If it returns false the caller must call sendRest for the rest.
// Neither may be called while another call of trySend, sendRest or send is in
// progress.
func (l *link) trySend(body []byte) (sent bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	parts := l.frame(nil, body)
	if len(parts) == 1 && l.try != nil {
		n, err := l.try.TryWrite(parts[0])
		l.wrote(int64(n), err)
		if err != nil || n == len(parts[0]) {
			return true, err
		}
		parts[0] = parts[0][n:]
	}
	l.rest = parts
	return false, nil
}

// sendRest sends what the last trySend has left. It may block.
func (l *link) sendRest() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	rest := l.rest
	l.rest = nil
	n, err := rest.WriteTo(l.net)
	l.wrote(n, err)
	return err
}

// sendLast sends the last message of this side, and ends its direction of the
// connection. The other direction stays open: what it brings must be read, or
// some systems discard the last message. It blocks for at most patience. It must
// not be called while a call of trySend, sendRest or send is in progress.
func (l *link) sendLast(body []byte, patience time.Duration) error {
	if err := l.net.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	sent, err := l.trySend(body)
	if !sent {
		err = l.sendRest()
	}
	if half, ok := l.net.(interface{ CloseWrite() error }); ok && err == nil {
		return half.CloseWrite()
	}
	return errors.Join(err, l.Close())
}

// frame returns a message in its wire format. The first part is valid until the
// next call.
func (l *link) frame(header, body []byte) net.Buffers {
	length := len(header) + len(body)
	head := l.out[:0]
	if l.ipc {
		head = append(head, ipcMessage)
	}
	head = binary.BigEndian.AppendUint64(head, uint64(length))
	head = append(head, header...)
	if length <= SmallMessage {
		head = append(head, body...)
		l.out = head
		return net.Buffers{head}
	}
	l.out = head
	return net.Buffers{head, body}
}

// receiveLength returns the length of the next message. The caller must read
// its body with read or readLong.
func (l *link) receiveLength() (int, error) {
	var head [9]byte
	head[0] = ipcMessage
	read := head[1:]
	if l.ipc {
		read = head[:]
	}
	if _, err := io.ReadFull(l.in, read); err != nil {
		return 0, err
	}
	length := binary.BigEndian.Uint64(head[1:])
	switch {
	case head[0] != ipcMessage:
		return 0, errNotSP
	case length > uint64(l.endpoint.limit):
		return 0, tooLong(length, l.endpoint.limit)
	}
	return int(length), nil
}

// nextLength is receiveLength after the handshake. It also counts and logs a
// message that breaks the protocol.
func (l *link) nextLength() (int, error) {
	length, err := l.receiveLength()
	if errors.Is(err, errNotSP) || errors.Is(err, errTooLong) {
		l.endpoint.Broken.Add(1)
		if l.beat > 0 {
			l.resumption.distrust(time.Now())
		}
		l.endpoint.warnings.warn("connection closed", l.remote(), err)
	}
	return length, err
}

func (l *link) read(body []byte) error {
	_, err := io.ReadFull(l.in, body)
	return err
}

func tooLong(length uint64, limit int) error {
	return fmt.Errorf("%w: %d bytes, at most %d are allowed", errTooLong, length, limit)
}

// readLong reads a message of the given length. The length is only what the
// other side claims, so memory is allocated as the message arrives.
func readLong(r io.Reader, length int) ([]byte, error) {
	parts := make([][]byte, 0, length/chunk+1)
	for rest := length; rest > 0; {
		part := make([]byte, min(rest, chunk))
		if _, err := io.ReadFull(r, part); err != nil {
			return nil, err
		}
		parts = append(parts, part)
		rest -= len(part)
	}
	body := make([]byte, 0, length)
	for _, part := range parts {
		body = append(body, part...)
	}
	return body, nil
}

func (l *link) remote() string { return fmt.Sprint(l.net.RemoteAddr()) }

// state returns the state of the TLS connection, or nil without TLS.
func (l *link) state() *tls.ConnectionState {
	tc, ok := l.net.(*tls.Conn)
	if !ok {
		return nil
	}
	state := tc.ConnectionState()
	return &state
}
