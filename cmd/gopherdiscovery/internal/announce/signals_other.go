//go:build !unix

package announce

import (
	"os"
	"os/signal"
	"syscall"
)

// Notify returns the signals for [Program.Run], until stop is called.
func Notify() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 8)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	return c, func() { signal.Stop(c) }
}

// IsEnd reports whether a signal is to end a program.
func IsEnd(s os.Signal) bool { return s == os.Interrupt || s == syscall.SIGTERM }
