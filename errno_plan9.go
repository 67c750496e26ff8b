package gopherdiscovery

import "errors"

// Plan 9 has no numbers of errors: none of these is ever returned there.
var (
	errnoRefused = errors.New("connection refused")
	errnoInUse   = errors.New("address in use")
	errnoReset   = errors.New("connection reset")
	errnoPipe    = errors.New("broken pipe")

	errnosNoDescriptor []error
)
