package sp

import (
	"errors"
	"os"
	"syscall"
)

// System errors that are treated in their own way. They are errors of Winsock.
// The names that package syscall shares with other systems stand for invented
// numbers on Windows, which no call returns.
const (
	ErrnoRefused = syscall.Errno(10061) // WSAECONNREFUSED
	ErrnoInUse   = syscall.Errno(10048) // WSAEADDRINUSE
	ErrnoReset   = syscall.WSAECONNRESET
	errnoPipe    = syscall.WSAECONNABORTED
)

// errnosNoDescriptor are the errors of a process or system without a free file
// descriptor.
var errnosNoDescriptor = []error{syscall.Errno(10024)} // WSAEMFILE

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
		return nil, ErrnoInUse
	case err != nil:
		return nil, os.NewSyscallError("CreateFile", err)
	}
	return func() { _ = syscall.CloseHandle(handle) }, nil
}
