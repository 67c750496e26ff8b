package gopherdiscovery

import (
	"net"
	"syscall"
	"time"
)

// tcpUserTimeout is TCP_USER_TIMEOUT, which package syscall lacks.
const tcpUserTimeout = 0x12

// setUserTimeout makes the system end a TCP connection whose other end has
// acknowledged nothing, or has had no room, for the given time (RFC 5482).
// Keepalive does not do that while data is unacknowledged, such as the surveys
// that a server keeps sending to a machine that has vanished.
func setUserTimeout(c net.Conn, limit time.Duration) {
	tc, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := tc.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			// If this fails the connection still ends, only later.
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(limit.Milliseconds()))
		})
	}
}
