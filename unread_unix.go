//go:build unix

package gopherdiscovery

import "syscall"

// unread reports whether the system has bytes that were not read yet.
func unread(raw syscall.RawConn) (is bool) {
	_ = raw.Control(func(fd uintptr) {
		var first [1]byte
		n, _, err := syscall.Recvfrom(int(fd), first[:], syscall.MSG_PEEK) // it never blocks: the socket is the runtime's
		is = err == nil && n > 0
	})
	return is
}
