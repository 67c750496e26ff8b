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
	limitUnacknowledged(c, 1500*time.Millisecond)
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var got int
	if controlErr := raw.Control(func(fd uintptr) {
		got, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout)
	}); controlErr != nil || err != nil {
		t.Fatal(controlErr, err)
	}
	if got != 1500 {
		t.Errorf("the kernel waits for %d ms, want 1500", got)
	}
	limitUnacknowledged(nothingNet{}, time.Second) // no TCP: nothing to limit
}

// nothingNet is a connection that is not one of TCP.
type nothingNet struct{ net.Conn }
