//go:build unix

package interop_test

import (
	"net"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sptest"
)

// accept waits for a connection of the other protocol.
func accept(t testing.TB, l *sptest.Listener, self, other uint16) sptest.Conn {
	t.Helper()
	c, _ := l.AcceptOnly(t, self, other)
	return c
}

// ask sends a survey, and checks the answer to it.
func ask(t testing.TB, c sptest.Conn, survey, answer string) {
	t.Helper()
	c.MustSend(t, survey)
	if got := c.MustReceive(t); string(got) != answer {
		t.Errorf("survey %q: got the answer %q, want %q", survey, got, answer)
	}
}

// expectNothing checks that the other side neither sends anything nor closes
// the connection for a while.
func expectNothing(t testing.TB, c sptest.Conn) {
	t.Helper()
	if n, err := readUntil(c, 100*time.Millisecond); n > 0 || !isTimeout(err) {
		t.Errorf("got %d bytes, %v, want nothing", n, err)
	}
}

// awaitEnd waits until the other side has closed the connection.
func awaitEnd(t testing.TB, c sptest.Conn) {
	t.Helper()
	if n, err := readUntil(c, patience); n > 0 || isTimeout(err) {
		t.Errorf("the connection is not closed: read %d bytes, %v", n, err)
	}
}

// readUntil reads a byte, for a while.
func readUntil(c sptest.Conn, timeout time.Duration) (n int, err error) {
	c.SetReadDeadline(time.Now().Add(timeout))
	return c.Read(make([]byte, 1))
}

func isTimeout(err error) bool {
	timeout, is := err.(net.Error)
	return is && timeout.Timeout()
}
