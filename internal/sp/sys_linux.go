package sp

import (
	"net"
	"syscall"
	"time"
	"unsafe"
)

// tcpUserTimeout is TCP_USER_TIMEOUT, which package syscall lacks.
const tcpUserTimeout = 0x12

// setUserTimeout makes the system end a TCP connection whose other end has
// acknowledged nothing, or has had no room, for the given time (RFC 5482).
// Keepalive does not do that while data is unacknowledged, such as the surveys
// that a server keeps sending to a machine that has vanished. The time also
// takes the place of the number of keepalive probes.
func setUserTimeout(c net.Conn, limit time.Duration) {
	tc, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	// If this fails the connection still ends, only later.
	control(tc, func(fd int) {
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, tcpUserTimeout, int(limit.Milliseconds()))
	})
}

// stopListening frees the address of a listener that is about to be closed. Its
// end alone does not, while a child process that is being started still has all
// descriptors of this one.
func stopListening(ln net.Listener) {
	if c, ok := ln.(syscall.Conn); ok {
		control(c, func(fd int) { _ = syscall.Shutdown(fd, syscall.SHUT_RDWR) })
	}
}

// resetSelf is called for a new socket that is about to connect. If it connects
// to itself, package net closes it and tries again (golang.org/issue/2690). The
// port would then stay in use for a minute. A reset frees it at once.
func resetSelf(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		_ = syscall.SetsockoptLinger(int(fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	})
}

func control(c syscall.Conn, do func(fd int)) {
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { do(int(fd)) })
	}
}

// listenConfig returns how to listen on TCP. Accepted connections inherit the
// options of the listening socket, so that accepting one takes fewer calls of
// the system.
func listenConfig() net.ListenConfig {
	return net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			for _, option := range [][3]int{
				{syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
				{syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, int(KeepAlive.Idle.Seconds())},
				{syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, int(KeepAlive.Interval.Seconds())},
				{syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, KeepAlive.Count},
				{syscall.IPPROTO_TCP, tcpUserTimeout, int(acceptedTimeout.Milliseconds())},
			} {
				// If one fails a dead connection still ends, only later.
				_ = syscall.SetsockoptInt(int(fd), option[0], option[1], option[2])
			}
		})
	}}
}

// unacked returns how many bytes are in the send queue of a TCP connection. It
// returns false if the system does not tell.
func unacked(raw syscall.RawConn) (bytes int, known bool) {
	_ = raw.Control(func(fd uintptr) {
		var queued int32
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&queued)))
		bytes, known = int(queued), errno == 0
	})
	return bytes, known
}
