// Package sptest speaks SP by hand, as docs/protocol.md describes it. It is for
// tests, and uses none of the library's code.
package sptest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// These are protocol numbers as they are on the wire.
const (
	Pub        = 0x20
	Sub        = 0x21
	Surveyor   = 0x62
	Respondent = 0x63
	Changes    = 0xFD51 // of a subscriber that asks for changes
)

// Hello returns one side's part of the handshake.
func Hello(protocol uint16) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0, 'S', 'P', 0}, protocol), 0, 0)
}

// Conn is a connection, over TCP if nothing but its net.Conn is set.
type Conn struct {
	net.Conn
	marker string // before the length of each message
}

// split returns the arguments of [net.Dial] and [net.Listen] for a URL, and
// what precedes each message there.
func split(url string) (network, address, marker string) {
	network, address, _ = strings.Cut(url, "://")
	if network == "ipc" {
		return "unix", address, "\x01"
	}
	return network, address, ""
}

// Dial connects to a URL of tcp or ipc, and shakes hands. The connection is
// closed when the test ends.
func Dial(t testing.TB, url string, self, other uint16) Conn {
	t.Helper()
	network, address, marker := split(url)
	nc, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	c := Conn{nc, marker}
	if got := c.MustGreet(t, self); got != other {
		t.Fatalf("handshake: got protocol %#04x, want %#04x", got, other)
	}
	return c
}

// MustGreet is like [Conn.Greet], and fails the test if the other side does not
// shake hands in time.
func (c Conn) MustGreet(t testing.TB, self uint16) (other uint16) {
	t.Helper()
	c.SetDeadline(time.Now().Add(testmain.Patience))
	defer c.SetDeadline(time.Time{})
	other, err := c.Greet(self)
	if err != nil {
		t.Fatal(err)
	}
	return other
}

// Greet exchanges hellos, and returns the protocol of the other side.
func (c Conn) Greet(self uint16) (other uint16, err error) {
	if _, err := c.Write(Hello(self)); err != nil {
		return 0, fmt.Errorf("handshake: %w", err)
	}
	got := make([]byte, 8)
	if _, err := io.ReadFull(c, got); err != nil {
		return 0, fmt.Errorf("handshake: %w", err)
	}
	other = binary.BigEndian.Uint16(got[4:])
	if !bytes.Equal(got, Hello(other)) {
		return 0, fmt.Errorf("handshake: % x is no hello", got)
	}
	return other, nil
}

// Header returns the bytes that precede a message of this length.
func (c Conn) Header(length int) []byte {
	return binary.BigEndian.AppendUint64([]byte(c.marker), uint64(length))
}

// Send sends a message.
func (c Conn) Send(body []byte) error {
	_, err := c.Write(append(c.Header(len(body)), body...))
	return err
}

// MustSend sends a message, and fails the test if it cannot.
func (c Conn) MustSend(t testing.TB, body string) {
	t.Helper()
	if err := c.Send([]byte(body)); err != nil {
		t.Fatal(err)
	}
}

// Receive waits for a message. The error is [io.EOF] if the connection has
// ended before it.
func (c Conn) Receive() ([]byte, error) {
	header := make([]byte, len(c.marker)+8)
	if _, err := io.ReadFull(c, header); err != nil {
		return nil, err
	}
	length, found := bytes.CutPrefix(header, []byte(c.marker))
	if !found {
		return nil, fmt.Errorf("got % x before a message, want % x and its length", header, c.marker)
	}
	body := make([]byte, binary.BigEndian.Uint64(length))
	_, err := io.ReadFull(c, body)
	return body, err
}

// MustReceive is like [Conn.Receive], and fails the test if no message comes in
// time.
func (c Conn) MustReceive(t testing.TB) []byte {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(testmain.Patience))
	defer c.SetReadDeadline(time.Time{})
	body, err := c.Receive()
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	return body
}

// Answer answers surveys with a name until the connection ends.
func (c Conn) Answer(name string) {
	for {
		survey, err := c.Receive()
		if err != nil || c.Send(append(survey, name...)) != nil {
			return
		}
	}
}

// Listener accepts connections like those of [Dial].
type Listener struct {
	net.Listener
	URL    string // as bound
	marker string
}

// Listen listens at a URL of tcp or ipc until the test ends.
func Listen(t testing.TB, url string) *Listener {
	t.Helper()
	network, address, marker := split(url)
	nl := MustBind(t, func() (net.Listener, error) { return net.Listen(network, address) })
	t.Cleanup(func() { nl.Close() })
	if network == "tcp" {
		url = "tcp://" + nl.Addr().String()
	}
	return &Listener{nl, url, marker}
}

// MustBind returns what bind does, and calls it again while it fails. A child
// of this process has the address of an earlier listener until it executes its
// program.
func MustBind[T any](t testing.TB, bind func() (T, error)) (bound T) {
	t.Helper()
	testmain.Eventually(t, testmain.Patience/6, func() string {
		var err error
		if bound, err = bind(); err != nil {
			return err.Error()
		}
		return ""
	})
	return bound
}

// AcceptAs waits for a connection, shakes hands, and returns the protocol of
// the other side. The connection is closed when the test ends.
func (l *Listener) AcceptAs(t testing.TB, self uint16) (c Conn, other uint16) {
	t.Helper()
	l.Listener.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Now().Add(testmain.Patience))
	nc, err := l.Accept()
	if err != nil {
		t.Fatalf("nobody comes: %v", err)
	}
	t.Cleanup(func() { nc.Close() })
	c = Conn{nc, l.marker}
	return c, c.MustGreet(t, self)
}

// AcceptOnly is like [Listener.AcceptAs], for connections of one protocol. It
// refuses those that ask for changes instead, like a publisher that does not
// know them: it shakes hands and closes the connection.
func (l *Listener) AcceptOnly(t testing.TB, self, other uint16) (c Conn, refused int) {
	t.Helper()
	for {
		c, got := l.AcceptAs(t, self)
		switch got {
		case other:
			return c, refused
		case Changes:
			refused++
			c.Close()
		default:
			t.Fatalf("handshake: got protocol %#04x, want %#04x", got, other)
		}
	}
}
