package run

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// childInfo is what the system tells about a child: the beginning of siginfo_t
// in the form that it has for SIGCHLD. x/sys has no fields for that.
type childInfo struct {
	_      [3]int32
	_      [0]uintptr // what follows is aligned as a pointer
	pid    int32      // 0 if there is nothing to tell
	_      uint32
	status int32     // of a child that was stopped: by which signal
	_      [104]byte // to the 128 bytes of siginfo_t
}

// waitid does not wait: it tells what has happened.
func waitid(kind, id, options int) childInfo {
	var info childInfo
	// An error, such as that there is no child, leaves info as it is.
	_, _, _ = syscall.Syscall6(unix.SYS_WAITID, uintptr(kind), uintptr(id), uintptr(unsafe.Pointer(&info)),
		uintptr(options|unix.WNOHANG), 0, 0)
	return info
}
