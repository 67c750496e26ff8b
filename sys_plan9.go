package gopherdiscovery

import (
	"errors"
)

// Plan 9 has no error numbers. No call returns these errors there.
var (
	errnoRefused = errors.New("connection refused")
	errnoInUse   = errors.New("address in use")
	errnoReset   = errors.New("connection reset")
	errnoPipe    = errors.New("broken pipe")

	errnosNoDescriptor []error
)

// isNoPath returns false, since errors do not tell.
func isNoPath(error) bool { return false }
