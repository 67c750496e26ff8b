package gopherdiscovery

import (
	"net"
	"syscall"
	"testing"
	"time"
)

func TestUnacknowledgedIsLimited(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	setUserTimeout(c, 1500*time.Millisecond)
	if got := userTimeout(t, c); got != 1500 {
		t.Errorf("the kernel waits for %d ms, want 1500", got)
	}
	setUserTimeout(nothingNet{}, time.Second) // no TCP: nothing to limit
}

// userTimeout returns TCP_USER_TIMEOUT in milliseconds.
func userTimeout(t *testing.T, c net.Conn) (got int) {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if controlErr := raw.Control(func(fd uintptr) {
		got, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout)
	}); controlErr != nil || err != nil {
		t.Fatal(controlErr, err)
	}
	return got
}

// Both ends of a connection notice that nothing they send arrives: the server
// by its surveys, the client by its answers.
func TestBothEndsAreLimited(t *testing.T) {
	server, err := Server("tcp://127.0.0.1:0", "tcp://127.0.0.1:0", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	survey, _ := server.URLs()
	client, err := Client(survey, "one")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for name, side := range map[string]struct {
		endpoint *endpoint
		want     time.Duration
	}{
		"server": {server.surveyor.sock.endpoint, acceptedTimeout},
		"client": {client.sock.endpoint, dialedTimeout},
	} {
		e := side.endpoint
		for start := time.Now(); e.connected() == 0; time.Sleep(ms) {
			if time.Since(start) > 30*time.Second {
				t.Fatal("not connected in time")
			}
		}
		e.mu.Lock()
		for c := range e.conns {
			if got, want := userTimeout(t, c.(*link).net), int(side.want.Milliseconds()); got != want {
				t.Errorf("the %s waits for %d ms, want %d", name, got, want)
			}
		}
		e.mu.Unlock()
	}
}

// nothingNet is a connection that is not TCP.
type nothingNet struct{ net.Conn }
