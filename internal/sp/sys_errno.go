//go:build !windows && !plan9

package sp

import (
	"syscall"
)

// System errors that are treated in their own way.
const (
	ErrnoRefused = syscall.ECONNREFUSED
	ErrnoInUse   = syscall.EADDRINUSE
	ErrnoReset   = syscall.ECONNRESET
	errnoPipe    = syscall.EPIPE
)

// errnosNoDescriptor are the errors of a process or system without a free file
// descriptor.
var errnosNoDescriptor = []error{syscall.EMFILE, syscall.ENFILE}
