//go:build !unix

package announce

import (
	"fmt"
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

// ParseSignal returns an error: there are no other signals than those that end
// a command.
func ParseSignal(text string) (os.Signal, error) {
	return nil, fmt.Errorf("this system has no signal %q", text)
}
