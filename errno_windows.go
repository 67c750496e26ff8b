package gopherdiscovery

import "syscall"

// Errors of the system that are told apart. They are those of Winsock: the names that package syscall takes from other systems
// are numbers of its own on Windows, which no call returns.
const (
	errnoRefused = syscall.Errno(10061) // WSAECONNREFUSED
	errnoInUse   = syscall.Errno(10048) // WSAEADDRINUSE
	errnoReset   = syscall.WSAECONNRESET
	errnoPipe    = syscall.WSAECONNABORTED
)

// errnosNoDescriptor say that the process, or the system, has no descriptor left.
var errnosNoDescriptor = []error{syscall.Errno(10024)} // WSAEMFILE
