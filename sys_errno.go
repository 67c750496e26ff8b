//go:build !windows && !plan9

package gopherdiscovery

import (
	"syscall"
)

// System errors that are treated in their own way.
const (
	errnoRefused = syscall.ECONNREFUSED
	errnoInUse   = syscall.EADDRINUSE
	errnoReset   = syscall.ECONNRESET
	errnoPipe    = syscall.EPIPE
)

// errnosNoDescriptor are the errors of a process or system without a free file
// descriptor.
var errnosNoDescriptor = []error{syscall.EMFILE, syscall.ENFILE}
