//go:build unix

package interop_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// These are protocol numbers as they are on the wire.
const (
	protoPub        = 0x20
	protoSub        = 0x21
	protoSurveyor   = 0x62
	protoRespondent = 0x63
	protoChanges    = 0xFD51
)

// rawListener is a server whose bytes are written by hand.
type rawListener struct {
	net.Listener
	url        string // as bound
	marker     string // before each message
	self, peer uint16
	// refused counts the connections that asked for changes when peer was
	// another protocol.
	refused int
}

func listenRaw(t testing.TB, url string, self, peer uint16) *rawListener {
	t.Helper()
	l := &rawListener{url: url, self: self, peer: peer}
	scheme, address, _ := strings.Cut(url, "://")
	if scheme == "ipc" {
		scheme, l.marker = "unix", "\x01"
	}
	var err error
	if l.Listener, err = net.Listen(scheme, address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if scheme == "tcp" {
		l.url = "tcp://" + l.Addr().String()
	}
	return l
}

// accept waits for a connection of the protocol l.peer. It refuses connections
// that ask for changes instead, like a publisher that does not know them: it
// sends its hello and closes the connection.
func (l *rawListener) accept(t testing.TB) *rawConn {
	t.Helper()
	l.Listener.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Now().Add(patience))
	for {
		nc, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		c := &rawConn{nc, l.marker}
		other := c.greet(t, l.self)
		switch {
		case bytes.Equal(other, hello(l.peer)):
			return c
		case !bytes.Equal(other, hello(protoChanges)):
			t.Fatalf("handshake: got % x, want % x", other, hello(l.peer))
		}
		l.refused++
		c.Close()
	}
}

// hello returns one side's part of the handshake.
func hello(protocol uint16) []byte {
	return []byte{0, 'S', 'P', 0, byte(protocol >> 8), byte(protocol), 0, 0}
}

// rawConn is one connection of a server, or of a peer.
type rawConn struct {
	net.Conn
	marker string
}

// greet sends a handshake, and returns the other side's.
func (c *rawConn) greet(t testing.TB, self uint16) []byte {
	t.Helper()
	c.SetDeadline(time.Now().Add(patience))
	_, _ = c.Write(hello(self))
	return c.read(t, 8)
}

// frame returns the bytes that precede a message.
func (c *rawConn) frame(length int) []byte {
	return binary.BigEndian.AppendUint64([]byte(c.marker), uint64(length))
}

func (c *rawConn) send(t testing.TB, body string) {
	t.Helper()
	if _, err := c.Write(append(c.frame(len(body)), body...)); err != nil {
		t.Fatal(err)
	}
}

func (c *rawConn) receive(t testing.TB) []byte {
	t.Helper()
	if marker := c.read(t, len(c.marker)); string(marker) != c.marker {
		t.Fatalf("got % x before a message, want % x", marker, c.marker)
	}
	return c.read(t, int(binary.BigEndian.Uint64(c.read(t, 8))))
}

func (c *rawConn) read(t testing.TB, length int) []byte {
	t.Helper()
	data := make([]byte, length)
	if n, err := io.ReadFull(c, data); err != nil {
		t.Fatalf("after % x: %v", data[:n], err)
	}
	return data
}

// awaitEnd waits until the other side has closed the connection.
func (c *rawConn) awaitEnd(t testing.TB) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n > 0 || isTimeout(err) {
		t.Errorf("the connection is not closed: read %d bytes, %v", n, err)
	}
}

func isTimeout(err error) bool {
	timeout, is := err.(net.Error)
	return is && timeout.Timeout()
}
