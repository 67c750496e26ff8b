package gopherdiscovery

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.nanomsg.org/mangos/v3"
)

const (
	// Surveys and names are short: one read from the system mostly brings a whole message.
	readBuffer = 512

	// chunk is how much of a message is allocated ahead of its arrival.
	chunk = 64 << 10

	// Messages up to this size are copied behind their length and written at once.
	smallMessage = 4 << 10

	ipcMessage = 0x01
)

var (
	errNotSP         = errors.New("the other side does not speak the Scalability Protocols")
	errOtherProtocol = errors.New("the other side speaks another of the Scalability Protocols")
	errTLS           = errors.New("the other side speaks TLS, this one does not")
	errNoTLS         = errors.New("the other side does not speak TLS")
	errHungUp        = errors.New("the other side closed the connection during the handshake")
	errMute          = errors.New("the other side did not finish the handshake in time")
	errGaveWay       = errors.New("the oldest unfinished handshake gives way to a new one")
	errTooLong       = errors.New("message too long")
	errExpired       = errors.New("the certificate of the other side has expired")
)

// conn speaks SP over a network connection. Its socket owns it until it is closed.
type conn struct {
	net   net.Conn // with TLS, once its handshake has begun, the TLS connection
	sock  *socket
	ipc   bool
	in    *bufio.Reader
	close func() error
	done  chan struct{} // closed with the connection

	queued atomic.Bool // the handshake waits for its turn

	reported *atomic.Bool // bad input has been logged; a dialer's connections share it

	mu  sync.Mutex // guards writing
	out []byte     // reused for short messages
}

// newConn returns nil, with nc closed, when the socket is closed.
func newConn(nc net.Conn, s *socket, a address) *conn {
	c := &conn{net: nc, sock: s, ipc: !a.isTCP(), done: make(chan struct{}), reported: new(atomic.Bool)}
	c.close = sync.OnceValue(func() error {
		close(c.done)
		err := nc.Close()
		s.disown(c)
		return err
	})
	if !s.own(c) {
		_ = nc.Close()
		return nil
	}
	return c
}

func (c *conn) Close() error { return c.close() }

// handshake makes the connection one of SP, over TLS when secure says how. The other side may keep silent for as long as
// patience says, all in all.
func (c *conn) handshake(secure func(net.Conn) *tls.Conn, patience time.Duration) (err error) {
	if secure != nil {
		if patience, err = c.handshakeTLS(secure, patience); err != nil {
			return explain(err)
		}
	}
	if err := c.net.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	c.in = bufio.NewReaderSize(c.net, readBuffer)
	if err := c.exchangeHello(); err != nil {
		return explain(err)
	}
	return c.net.SetDeadline(time.Time{})
}

// handshakeTLS returns what is left of the patience.
func (c *conn) handshakeTLS(secure func(net.Conn) *tls.Conn, patience time.Duration) (left time.Duration, err error) {
	// What a client computes completes what its server has begun.
	shaking := &shakingConn{Conn: c.net, conn: c, turns: &computing, left: patience, begun: c.sock.handshakes == nil}
	defer shaking.end()
	tc := secure(shaking)
	if err := tc.Handshake(); err != nil {
		return 0, err
	}
	c.net = tc
	return max(shaking.left, lastSecond), nil
}

// exchangeHello exchanges the 8 bytes that each side of an SP connection begins with.
func (c *conn) exchangeHello() error {
	info := c.sock.info
	hello := [8]byte{0, 'S', 'P', 0}
	binary.BigEndian.PutUint16(hello[4:], info.Self)
	if _, err := c.net.Write(hello[:]); err != nil {
		return err
	}
	var got [8]byte
	if n, err := io.ReadFull(c.in, got[:]); err != nil {
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
	if theirs := binary.BigEndian.Uint16(got[4:]); theirs != info.Peer {
		return fmt.Errorf("%w: it speaks %#02x, want %#02x (%s)", errOtherProtocol, theirs, info.Peer, info.PeerName)
	}
	return nil
}

// isTLSRecord tells whether bytes begin an alert or a handshake of TLS (RFC 8446, section 5.1).
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
		return fmt.Errorf("%w: %w", errMute, err)
	}
	return err
}

func (c *conn) Send(m *mangos.Message) error {
	length := len(m.Header) + len(m.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	head := c.out[:0]
	if c.ipc {
		head = append(head, ipcMessage)
	}
	head = binary.BigEndian.AppendUint64(head, uint64(length))
	head = append(head, m.Header...)
	var err error
	if length <= smallMessage {
		head = append(head, m.Body...)
		_, err = c.net.Write(head)
	} else {
		parts := net.Buffers{head, m.Body}
		_, err = parts.WriteTo(c.net)
	}
	c.out = head[:0]
	if err != nil {
		return err
	}
	m.Free()
	return nil
}

func (c *conn) Recv() (*mangos.Message, error) {
	m, err := c.receive()
	if err != nil {
		c.report(err)
	}
	return m, err
}

func (c *conn) receive() (*mangos.Message, error) {
	var head [9]byte
	head[0] = ipcMessage
	read := head[1:]
	if c.ipc {
		read = head[:]
	}
	if _, err := io.ReadFull(c.in, read); err != nil {
		return nil, err
	}
	if head[0] != ipcMessage {
		return nil, errNotSP
	}
	length := binary.BigEndian.Uint64(head[1:])
	if length > uint64(c.sock.limit) {
		return nil, tooLong(length, c.sock.limit)
	}
	if length > chunk {
		body, err := readLong(c.in, int(length))
		return &mangos.Message{Body: body}, err
	}
	m := mangos.NewMessage(int(length)) // from a pool: a list that is repeated makes no garbage
	m.Body = m.Body[:length]
	_, err := io.ReadFull(c.in, m.Body)
	return m, err
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

// report counts and logs what the other side did wrong. That it went away is no mistake of its.
func (c *conn) report(err error) {
	if !errors.Is(err, errTooLong) && !errors.Is(err, errNotSP) {
		return
	}
	c.sock.broken.Add(1)
	if !c.reported.Swap(true) {
		c.sock.warnings.warn("connection closed", "from", c.remote(), "error", err)
	}
}

func (c *conn) remote() string { return fmt.Sprint(c.net.RemoteAddr()) }

func (c *conn) GetOption(name string) (any, error) {
	switch name {
	case optionReported:
		return c.reported, nil
	case mangos.OptionTLSConnState:
		if tc, ok := c.net.(*tls.Conn); ok {
			return tc.ConnectionState(), nil
		}
	case mangos.OptionLocalAddr:
		return c.net.LocalAddr(), nil
	case mangos.OptionRemoteAddr:
		return c.net.RemoteAddr(), nil
	}
	return nil, mangos.ErrBadOption
}
