//go:build unix

package announce

import (
	"os"
	"os/signal"
	"syscall"
)

// Notify returns the signals for [Program.Run], until stop is called.
func Notify() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 8)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	if !signal.Ignored(syscall.SIGHUP) { // it is under nohup
		signal.Notify(c, syscall.SIGHUP)
	}
	return c, func() { signal.Stop(c) }
}

// IsEnd reports whether a signal is to end a program. SIGQUIT is how some, such
// as nginx, are told to finish what they have.
func IsEnd(s os.Signal) bool {
	return s == os.Interrupt || s == syscall.SIGTERM || s == syscall.SIGQUIT
}
