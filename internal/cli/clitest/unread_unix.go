//go:build unix

package clitest

import (
	"syscall"
	"testing"
)

// StartUnread is Start with a stderr that nobody reads while the program runs.
// It is full: writes to it wait.
func StartUnread(t *testing.T, args ...string) *Program {
	t.Helper()
	stderr := newStream(t)
	raw, err := stderr.write.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	page := make([]byte, 4096)
	if err := raw.Control(func(fd uintptr) {
		for err == nil {
			_, err = syscall.Write(int(fd), page)
		}
	}); err != nil {
		t.Fatal(err)
	}
	p := start(t, stderr, args)
	go func() {
		<-p.ended
		stderr.begin()
	}()
	return p
}
