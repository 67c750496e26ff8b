package gopherdiscovery

import (
	"syscall"
	"unsafe"
)

// unacked returns how many bytes are in the send queue of a TCP connection. It
// returns false if the system does not tell.
func unacked(raw syscall.RawConn) (bytes int, known bool) {
	_ = raw.Control(func(fd uintptr) {
		var queued int32
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&queued)))
		bytes, known = int(queued), errno == 0
	})
	return bytes, known
}
