//go:build !windows && !plan9

package gopherdiscovery

import "syscall"

// Errors of the system that are told apart.
const (
	errnoRefused = syscall.ECONNREFUSED
	errnoInUse   = syscall.EADDRINUSE
	errnoReset   = syscall.ECONNRESET
	errnoPipe    = syscall.EPIPE
)

// errnosNoDescriptor say that the process, or the system, has no descriptor left.
var errnosNoDescriptor = []error{syscall.EMFILE, syscall.ENFILE}
