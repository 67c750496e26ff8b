package sp

import (
	"errors"
)

// Plan 9 has no error numbers. No call returns these errors there.
var (
	ErrnoRefused = errors.New("connection refused")
	ErrnoInUse   = errors.New("address in use")
	ErrnoReset   = errors.New("connection reset")
	errnoPipe    = errors.New("broken pipe")

	errnosNoDescriptor []error
)

// isNoPath returns false, since errors do not tell.
func isNoPath(error) bool { return false }
