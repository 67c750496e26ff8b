//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package sp

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lockFile creates and locks a file. The caller must call unlock, which removes
// the file. It fails at once if the lock is held already. A process that dies
// leaves the file behind, but not the lock. If the file system has no locks the
// error is errNoLock, and unlock must be called too.
func lockFile(path string) (unlock func(), err error) {
	for {
		f, err := openLock(path)
		if err != nil {
			return nil, err
		}
		err = flock(f)
		if err != nil && !errors.Is(err, errNoLock) {
			_ = f.Close()
			return nil, err
		}
		// The locked file may have been removed since it was opened. Then
		// another process may lock the file that is there now.
		if isAt(path, f) {
			return func() {
				if isAt(path, f) {
					_ = os.Remove(path)
				}
				_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
				_ = f.Close()
			}, err
		}
		_ = f.Close()
	}
}

// openLock opens a file, and creates it if there is none. Linux refuses to open
// the file of another user in a directory like /tmp if it might create it, even
// to root (fs.protected_regular).
func openLock(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
		if !errors.Is(err, os.ErrNotExist) {
			return f, err
		}
		f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
		if !errors.Is(err, os.ErrExist) {
			return f, err
		}
	}
}

// isAt reports whether an open file is the one at a path.
func isAt(path string, f *os.File) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	now, err := os.Lstat(path)
	return err == nil && os.SameFile(open, now)
}

// systemFlock is replaced in tests.
var systemFlock = syscall.Flock

func flock(f *os.File) error {
	for {
		err := systemFlock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return ErrnoInUse
		case errors.Is(err, errors.ErrUnsupported), errors.Is(err, syscall.ENOLCK):
			return fmt.Errorf("%w: %w", errNoLock, err)
		default:
			return os.NewSyscallError("flock", err)
		}
	}
}
