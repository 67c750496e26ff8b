package sp

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// ipcMessage is the byte that precedes each message on ipc.
const ipcMessage = 0x01

// link speaks SP over a network connection. Its endpoint owns it until it is
// closed.
type link struct {
	conn           net.Conn // the TLS connection, if any, after its handshake
	raw            net.Conn // the connection below TLS
	endpoint       *endpoint
	ipc            bool
	dialed         bool // and not accepted
	awaited        bool // attempts failed before the dialer's first link
	reader         *bufio.Reader
	close          func() error
	protectedUntil atomic.Int64 // see handshake

	form
	signs
	writing
}

// form is the form of a subscription.
type form struct {
	changes    bool          // it is in changes
	have       *uint64       // sum of the list the subscriber had; nil if none
	beat       time.Duration // announced by the server; zero in the plain form
	resumption *resumption   // nil unless dialed to a publisher
}

// signs are what a link knows of the other side and of the path to it.
type signs struct {
	connectedAt time.Time
	lastRead    atomic.Int64 // nanoseconds since connectedAt; dialed links only
	sent        atomic.Int64 // bytes below TLS since the handshakes
	timedOut    atomic.Bool  // nothing has arrived at the other side for too long
}

// writing is what a link needs to write.
type writing struct {
	nonblocking tryWriter // writes to conn; nil if it can only block

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
	switch c := l.raw.(type) {
	case interface{ Unread() bool }:
		return c.Unread()
	case syscall.Conn:
		raw, err := c.SyscallConn()
		return err == nil && unread(raw)
	}
	return false
}

// unacked returns how many bytes the system has that the other side's system
// has not acknowledged. It returns false where that is unknown.
func (l *link) unacked() (bytes int, known bool) {
	switch c := l.raw.(type) {
	case interface{ Unacked() int }:
		return c.Unacked(), true
	case syscall.Conn:
		if raw, err := c.SyscallConn(); err == nil && !l.ipc {
			return unacked(raw)
		}
	}
	return 0, false
}

// wrote records a write to conn. The bytes of TLS count below it.
func (l *link) wrote(n int64, err error) {
	if l.conn == l.raw {
		l.sent.Add(n)
	}
	l.recordError(err)
}

// recordError records an error of conn, or nil.
func (l *link) recordError(err error) {
	if err != nil && isNoPath(err) {
		l.timedOut.Store(true)
	}
}

// newLink returns a link that the endpoint owns. If the endpoint is closed it
// closes nc and returns nil.
func newLink(nc net.Conn, e *endpoint, a Address) *link {
	l := &link{conn: nc, raw: nc, endpoint: e, ipc: !a.isTCP(), signs: signs{connectedAt: time.Now()}}
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

// Read reads from conn, and records when it has read something.
func (l *link) Read(p []byte) (int, error) {
	n, err := l.conn.Read(p)
	l.recordError(err)
	if n > 0 && l.dialed {
		l.lastRead.Store(int64(time.Since(l.connectedAt)))
	}
	return n, err
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
		wrote, err = l.conn.Write(parts[0])
		n = int64(wrote)
	} else {
		n, err = parts.WriteTo(l.conn)
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
	if len(parts) == 1 && l.nonblocking != nil {
		n, err := l.nonblocking.TryWrite(parts[0])
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
	n, err := rest.WriteTo(l.conn)
	l.wrote(n, err)
	return err
}

// sendLast sends the last message of this side, and ends its direction of the
// connection. The other direction stays open: its messages must be read, or
// some systems discard the last message. It blocks for at most timeout. It must
// not be called while a call of trySend, sendRest or send is in progress.
func (l *link) sendLast(body []byte, timeout time.Duration) error {
	if err := l.conn.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	sent, err := l.trySend(body)
	if !sent {
		err = l.sendRest()
	}
	if half, ok := l.conn.(interface{ CloseWrite() error }); ok && err == nil {
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
	if _, err := io.ReadFull(l.reader, read); err != nil {
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

func (l *link) read(body []byte) error {
	_, err := io.ReadFull(l.reader, body)
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

func (l *link) remote() string { return fmt.Sprint(l.conn.RemoteAddr()) }

// state returns the state of the TLS connection, or nil without TLS.
func (l *link) state() *tls.ConnectionState {
	tc, ok := l.conn.(*tls.Conn)
	if !ok {
		return nil
	}
	state := tc.ConnectionState()
	return &state
}
