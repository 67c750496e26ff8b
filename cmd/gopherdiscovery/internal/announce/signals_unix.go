//go:build unix

package announce

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// lastSignal is the last of Linux. Other systems have fewer.
const lastSignal = 64

// Notify returns the signals for [Program.Run], until stop is called. These are
// all but those that are ignored, as SIGHUP is under nohup, those about this
// process itself, and what Go's runtime keeps: 32 to 34 on Linux.
func Notify() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, lastSignal)
	for s := syscall.Signal(1); s <= lastSignal; s++ {
		switch s {
		case syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPIPE: // the runtime sends itself SIGURG
		default:
			if !signal.Ignored(s) {
				signal.Notify(c, s)
			}
		}
	}
	return c, func() { signal.Stop(c) }
}

// ParseSignal returns the signal with a name, with or without SIG, or with a
// number.
func ParseSignal(text string) (os.Signal, error) {
	number, err := strconv.Atoi(text)
	s := syscall.Signal(number)
	if err != nil {
		s = unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(text), "SIG"))
	}
	if s < 1 || s > lastSignal {
		return nil, fmt.Errorf("%q is no signal, such as USR1 or 10", text)
	}
	return s, nil
}
