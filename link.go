package gopherdiscovery

import (
	"bufio"
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
)

// Each message on ipc begins with this byte.
const ipcMessage = 0x01

// link speaks SP over a network connection. Its endpoint owns it until it is closed.
type link struct {
	net      net.Conn  // with TLS, once its handshake is done, the TLS connection
	bare     net.Conn  // without TLS
	try      tryWriter // of net; nil if it cannot be written to without blocking
	endpoint *endpoint
	ipc      bool
	in       *bufio.Reader
	extended int // how often the time of the handshake was
	close    func() error
	spared   atomic.Int64 // until when the handshake does not give way, see handshake

	changes    bool          // the subscription is in changes
	have       *uint64       // the sum of the list that the subscriber came with
	beat       time.Duration // of the server
	resumption *resumption   // nil for a connection that was accepted, or is not to a publisher

	reported *atomic.Bool // bad input has been logged; a dialer's connections share it
	outage   *outage      // of the server at the other end; nil for a connection that was accepted

	mu   sync.Mutex  // guards writing
	out  []byte      // reused for short messages
	rest net.Buffers // what trySend has not sent
}

// tryWriter writes as much as does not block.
type tryWriter interface {
	tryWrite(bytes []byte) (n int, err error)
}

// newTryWriter returns nil for a connection that cannot be written to so.
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

// rawWriter writes to the system by itself.
type rawWriter struct{ syscall.RawConn }

func (w rawWriter) tryWrite(bytes []byte) (int, error) { return tryWrite(w.RawConn, bytes) }

// unread reports whether bytes have come that were not read yet, where the
// system tells.
func (l *link) unread() bool {
	switch c := l.bare.(type) {
	case interface{ unread() bool }:
		return c.unread()
	case syscall.Conn:
		raw, err := c.SyscallConn()
		return err == nil && unread(raw)
	}
	return false
}

// newLink returns nil, with nc closed, when the endpoint is closed.
func newLink(nc net.Conn, e *endpoint, a address) *link {
	l := &link{net: nc, bare: nc, endpoint: e, ipc: !a.isTCP(), reported: new(atomic.Bool)}
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

// handshake makes the connection one of SP, over TLS with a config. The other side may keep silent for as long as patience
// says, all in all.
func (l *link) handshake(config *tls.Config, patience time.Duration) (err error) {
	if config != nil {
		if patience, err = l.handshakeTLS(config, patience); err != nil {
			return explain(err)
		}
	}
	if err := l.net.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	l.in = bufio.NewReaderSize(tolerant{l}, readBuffer)
	if err := l.exchangeHello(); err != nil {
		return explain(err)
	}
	if l.changes && l.outage == nil {
		l.spared.Store(math.MaxInt64)
		if err := l.welcome(patience); err != nil {
			return explain(err)
		}
	}
	l.try = newTryWriter(l.net)
	return l.net.SetDeadline(time.Time{})
}

// handshakeTLS returns what is left of the patience.
func (l *link) handshakeTLS(config *tls.Config, patience time.Duration) (left time.Duration, err error) {
	shaking := &shakingConn{Conn: l.net, turns: &computing, spared: &l.spared, left: patience}
	defer shaking.end()
	var tc *tls.Conn
	if l.outage == nil {
		tc = tls.Server(shaking, config)
	} else {
		shaking.begun = true // what a client computes completes what its server has begun
		tc = tls.Client(shaking, config)
	}
	if err := tc.Handshake(); err != nil {
		return 0, err
	}
	l.net = tc
	return max(shaking.left, minHelloTime), nil
}

// exchangeHello exchanges the 8 bytes that each side of an SP connection begins with.
func (l *link) exchangeHello() error {
	p := l.endpoint.side
	self := p.self
	if l.changes {
		self = changesProtocol
	}
	hello := [8]byte{0, 'S', 'P', 0}
	binary.BigEndian.PutUint16(hello[4:], self)
	if err := l.timeWrite(); err != nil {
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
	if theirs == changesProtocol && p.changes && l.outage == nil {
		l.changes = true
		return nil
	}
	if theirs != p.peer {
		return fmt.Errorf("%w: it speaks %#02x, want %#02x (%s)", errOtherProtocol, theirs, p.peer, p.peerName)
	}
	return nil
}

// welcome begins a subscription in changes, on the server's side. For the answer
// the subscriber has its time anew.
func (l *link) welcome(patience time.Duration) error {
	if err := l.sendShort(encodeWelcome(l.endpoint.beat)); err != nil {
		return err
	}
	if err := l.net.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	body, err := l.receiveShort()
	if err == nil {
		l.have, err = decodeHave(body)
	}
	return err
}

// subscribe begins a subscription in changes, on the subscriber's side. The
// error matches errNoChanges if the publisher does not know them.
func (l *link) subscribe(patience time.Duration) error {
	if err := l.net.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	body, err := l.receiveShort()
	if err == nil {
		l.beat, err = decodeWelcome(body)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errNoChanges, err)
	}
	if err := l.sendShort(encodeHave(l.resumption.have())); err != nil {
		return explain(err)
	}
	return l.net.SetDeadline(time.Time{})
}

// timeWrite gives the next write of the handshake its time, however late this
// process is.
func (l *link) timeWrite() error { return l.net.SetWriteDeadline(time.Now().Add(handshakeTime)) }

// sendShort sends a message of the handshake.
func (l *link) sendShort(body []byte) error {
	if err := l.timeWrite(); err != nil {
		return err
	}
	return l.send(nil, body)
}

// receiveShort receives a message of the handshake.
func (l *link) receiveShort() ([]byte, error) {
	length, err := l.receiveLength()
	if err != nil {
		return nil, err
	}
	if length > maxHandshakeMessage {
		return nil, errMalformed
	}
	body := make([]byte, length)
	return body, l.read(body)
}

// tolerant reads from a link. When the deadline of a handshake has passed and
// something has come that was not read yet, it is this process that is late, and
// not the other side: there is more time then.
type tolerant struct{ *link }

func (t tolerant) Read(p []byte) (int, error) {
	for {
		n, err := t.net.Read(p)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || t.extended == maxExtensions || !t.unread() {
			return n, err
		}
		t.extended++
		if err := t.net.SetReadDeadline(time.Now().Add(handshakeTime)); err != nil {
			return 0, err
		}
	}
}

// isTLSRecord reports whether bytes begin an alert or a handshake of TLS (RFC 8446, section 5.1).
func isTLSRecord(bytes []byte) bool {
	const alert, handshake, major = 21, 22, 3
	return len(bytes) >= 2 && (bytes[0] == alert || bytes[0] == handshake) && bytes[1] == major
}

// explain puts into words what a failed handshake mostly means.
func explain(err error) error {
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &record):
		return fmt.Errorf("%w: %w", errNoTLS, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, errnoReset), errors.Is(err, errnoPipe):
		return fmt.Errorf("%w: %w", errHungUp, err)
	case errors.Is(err, net.ErrClosed):
		return errGaveWay
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: %w", errSlowHandshake, err)
	}
	return err
}

// send sends a message in two parts. It may be called concurrently.
func (l *link) send(header, body []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	parts := l.frame(header, body)
	var err error
	if len(parts) == 1 {
		_, err = l.net.Write(parts[0])
	} else {
		_, err = parts.WriteTo(l.net)
	}
	return err
}

// trySend sends a short message if that does not block. It returns false if
// sendRest has to send the rest, or all of it. Neither may be called while
// another is under way, or send.
func (l *link) trySend(body []byte) (sent bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	parts := l.frame(nil, body)
	if len(parts) == 1 && l.try != nil {
		n, err := l.try.tryWrite(parts[0])
		if err != nil || n == len(parts[0]) {
			return true, err
		}
		parts[0] = parts[0][n:]
	}
	l.rest = parts
	return false, nil
}

func (l *link) sendRest() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	rest := l.rest
	l.rest = nil
	_, err := rest.WriteTo(l.net)
	return err
}

// frame returns a message as it is on the wire. Its first part is valid until
// the next call.
func (l *link) frame(header, body []byte) net.Buffers {
	length := len(header) + len(body)
	head := l.out[:0]
	if l.ipc {
		head = append(head, ipcMessage)
	}
	head = binary.BigEndian.AppendUint64(head, uint64(length))
	head = append(head, header...)
	if length <= smallMessage {
		head = append(head, body...)
		l.out = head
		return net.Buffers{head}
	}
	l.out = head
	return net.Buffers{head, body}
}

// receiveLength returns how long the next message is, which read or readLong takes.
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

// nextLength is receiveLength for a connection that takes part. It counts and
// reports that one breaks the protocol.
func (l *link) nextLength() (int, error) {
	length, err := l.receiveLength()
	if errors.Is(err, errNotSP) || errors.Is(err, errTooLong) {
		l.endpoint.broken.Add(1)
		if l.beat > 0 {
			l.resumption.distrust()
		}
		if !l.reported.Swap(true) {
			l.endpoint.warnings.warn("connection closed", "from", l.remote(), "error", err)
		}
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

// readLong allocates memory only for what arrives: the length is the other side's word.
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

// state returns the state of TLS, nil without it.
func (l *link) state() *tls.ConnectionState {
	tc, ok := l.net.(*tls.Conn)
	if !ok {
		return nil
	}
	state := tc.ConnectionState()
	return &state
}
