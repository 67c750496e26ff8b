//go:build unix

package sp

import (
	"errors"
	"syscall"
)

// tryWrite writes as much as the system accepts without blocking.
func tryWrite(raw syscall.RawConn, bytes []byte) (n int, err error) {
	failed := raw.Write(func(fd uintptr) bool {
		for {
			n, err = syscall.Write(int(fd), bytes)
			if !errors.Is(err, syscall.EINTR) {
				return true
			}
		}
	})
	switch {
	case failed != nil:
		return 0, failed
	case errors.Is(err, syscall.EAGAIN):
		return 0, nil
	}
	return max(n, 0), err
}

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
