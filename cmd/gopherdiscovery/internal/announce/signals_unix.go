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

// isForCommand reports whether a signal may be for the command. The others cannot
// be caught, are about this process itself, as SIGURG is, which Go's runtime
// sends to it, or are kept by that: 32 to 34 on Linux.
func isForCommand(s syscall.Signal) bool {
	switch s {
	case syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGCHLD, syscall.SIGPIPE, syscall.SIGURG, 32, 33, 34:
		return false
	}
	return 1 <= s && s <= lastSignal
}

// Notify returns the signals for [Program.Run], until stop is called. These are
// all that may be for the command, except those that are ignored, as SIGHUP is
// under nohup.
func Notify() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, lastSignal)
	for s := syscall.Signal(1); s <= lastSignal; s++ {
		if isForCommand(s) && !signal.Ignored(s) {
			signal.Notify(c, s)
		}
	}
	return c, func() { signal.Stop(c) }
}

// ParseSignal returns the signal with a name, with or without SIG, or with a
// number. One that cannot be for a command is an error.
func ParseSignal(text string) (os.Signal, error) {
	number, err := strconv.Atoi(text)
	s := syscall.Signal(number)
	if err != nil {
		s = unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(text), "SIG"))
	}
	if !isForCommand(s) {
		return nil, fmt.Errorf("%q is no signal for a command, such as USR1 or 10", text)
	}
	return s, nil
}
