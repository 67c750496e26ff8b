//go:build unix

package gopherdiscovery

import "syscall"

// unread reports whether the system has bytes that have not been read yet.
func unread(raw syscall.RawConn) (is bool) {
	_ = raw.Control(func(fd uintptr) {
		var first [1]byte
		// It never blocks, since the runtime's sockets are non-blocking.
		n, _, err := syscall.Recvfrom(int(fd), first[:], syscall.MSG_PEEK)
		is = err == nil && n > 0
	})
	return is
}
