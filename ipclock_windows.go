package gopherdiscovery

import (
	"errors"
	"os"
	"syscall"
)

const (
	// fileFlagDeleteOnClose is FILE_FLAG_DELETE_ON_CLOSE, and
	// errorSharingViolation is ERROR_SHARING_VIOLATION. Package syscall lacks
	// both.
	fileFlagDeleteOnClose = 0x04000000
	errorSharingViolation = syscall.Errno(32)
)

// lockFile creates a file that cannot be opened again until unlock is called.
// Unlock, or the end of the process, removes the file.
func lockFile(path string) (unlock func(), err error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	const noSharing = 0
	handle, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, noSharing, nil,
		syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL|fileFlagDeleteOnClose, 0)
	switch {
	case errors.Is(err, errorSharingViolation):
		return nil, errnoInUse
	case err != nil:
		return nil, os.NewSyscallError("CreateFile", err)
	}
	return func() { _ = syscall.CloseHandle(handle) }, nil
}
