//go:build !linux

package gopherdiscovery

import "syscall"

// unacked always returns false, since these systems do not tell.
func unacked(syscall.RawConn) (bytes int, known bool) { return 0, false }
