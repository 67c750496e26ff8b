//go:build !unix

package sp

import (
	"syscall"
)

// tryWrite writes nothing. All bytes are left to a write that may block.
func tryWrite(syscall.RawConn, []byte) (n int, err error) { return 0, nil }

// unread always returns false, since these systems cannot tell.
func unread(syscall.RawConn) bool { return false }
