//go:build !unix

package gopherdiscovery

import "syscall"

// unread always returns false, since these systems cannot tell.
func unread(syscall.RawConn) bool { return false }
