//go:build unix

package peers_test

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// Protocol numbers as they stand on the wire.
const (
	protoPub        = 0x20
	protoSub        = 0x21
	protoSurveyor   = 0x62
	protoRespondent = 0x63
)

// rawListener is a server that speaks the wire format by hand.
type rawListener struct {
	net.Listener
	url        string // as bound
	marker     string // before each message
	self, peer byte
}

func listenRaw(t testing.TB, url string, self, peer byte) *rawListener {
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

// accept waits for a connection that begins as it should.
func (l *rawListener) accept(t testing.TB) *rawConn {
	t.Helper()
	l.Listener.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Now().Add(patience))
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return shake(t, nc, l.marker, l.self, l.peer)
}

// shake exchanges handshakes, and checks the other side's.
func shake(t testing.TB, nc net.Conn, marker string, self, other byte) *rawConn {
	t.Helper()
	c := &rawConn{nc, marker}
	c.SetDeadline(time.Now().Add(patience))
	c.Write([]byte{0, 'S', 'P', 0, 0, self, 0, 0})
	want := [8]byte{0, 'S', 'P', 0, 0, other, 0, 0}
	if got := [8]byte(c.read(t, 8)); got != want {
		t.Fatalf("handshake: got % x, want % x", got, want)
	}
	return c
}

// rawConn is one connection of a server, or of a peer.
type rawConn struct {
	net.Conn
	marker string
}

// frame is what goes before a message.
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
