//go:build !plan9

package sp

import (
	"errors"
	"syscall"
)

// isNoPath reports whether an error of a connection means that nothing arrives
// at the other side, for example because the connection has timed out. If the
// other side has ended it, the error is a reset or the like.
func isNoPath(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) && errno != ErrnoReset && errno != errnoPipe
}
