package gopherdiscovery

import "syscall"

// System errors that are treated in their own way. They are errors of Winsock.
// The names that package syscall shares with other systems stand for invented
// numbers on Windows, which no call returns.
const (
	errnoRefused = syscall.Errno(10061) // WSAECONNREFUSED
	errnoInUse   = syscall.Errno(10048) // WSAEADDRINUSE
	errnoReset   = syscall.WSAECONNRESET
	errnoPipe    = syscall.WSAECONNABORTED
)

// errnosNoDescriptor are the errors of a process or system without a free file
// descriptor.
var errnosNoDescriptor = []error{syscall.Errno(10024)} // WSAEMFILE

// errnosNoPath are the errors of a connection of which nothing has arrived at
// the other side for too long.
var errnosNoPath = []error{
	syscall.Errno(10060), // WSAETIMEDOUT
	syscall.Errno(10065), // WSAEHOSTUNREACH
	syscall.Errno(10051), // WSAENETUNREACH
}
