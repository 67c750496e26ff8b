//go:build !unix

package gopherdiscovery

import "syscall"

// unread cannot tell.
func unread(syscall.RawConn) bool { return false }
