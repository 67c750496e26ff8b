//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package gopherdiscovery

import (
	"errors"
	"os"
	"syscall"
)

// lockFile creates and locks a file. The caller must call unlock, which removes
// the file. It fails at once if the lock is held already. A process that dies
// leaves the file behind, but not the lock.
func lockFile(path string) (unlock func(), err error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		if err := flock(f); err != nil {
			_ = f.Close()
			return nil, err
		}
		// The locked file may have been removed since it was opened. Then
		// another process may lock the file that is there now.
		locked, err := f.Stat()
		if err != nil {
			_ = f.Close()
			return nil, err
		}
		if now, err := os.Lstat(path); err == nil && os.SameFile(locked, now) {
			return func() {
				_ = os.Remove(path)
				_ = f.Close()
			}, nil
		}
		_ = f.Close()
	}
}

func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return errnoInUse
		default:
			return os.NewSyscallError("flock", err)
		}
	}
}
