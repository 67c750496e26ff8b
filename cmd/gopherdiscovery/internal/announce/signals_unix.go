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

// isForCommand reports whether a signal may be for the command. The others
// cannot be caught, are about this process itself, as SIGURG is, which Go's
// runtime sends to it, or are kept by that: SIGPROF, and on Linux 32 to 34.
func isForCommand(s syscall.Signal) bool {
	switch s {
	case syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGCHLD, syscall.SIGPIPE, syscall.SIGURG, syscall.SIGPROF, 32, 33, 34:
		return false
	}
	return 1 <= s && s <= lastSignal
}

// Notify returns the signals for [Program.Run], until stop is called. These are
// all that may be for the command, except SIGHUP if that is ignored, as it is
// under nohup.
func Notify() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, lastSignal)
	for s := syscall.Signal(1); s <= lastSignal; s++ {
		if isForCommand(s) && !isIgnored(s) {
			signal.Notify(c, s)
		}
	}
	return c, func() { signal.Stop(c) }
}

// isIgnored reports whether a signal was ignored when this process started and
// is to stay so. Go tells that of SIGHUP and SIGINT only, and the latter ends
// programs all the same.
func isIgnored(s syscall.Signal) bool { return s == syscall.SIGHUP && signal.Ignored(s) }

// ParseSignal returns the signal with a name, with or without SIG, or with a
// number. One that cannot be for a command is an error, and so is SIGHUP while
// that is ignored.
func ParseSignal(text string) (os.Signal, error) {
	number, err := strconv.Atoi(text)
	s := syscall.Signal(number)
	if err != nil {
		s = unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(text), "SIG"))
	}
	switch {
	case !isForCommand(s):
		return nil, fmt.Errorf("%q is no signal for a command, such as USR1 or 10", text)
	case isIgnored(s):
		return nil, fmt.Errorf("%q is ignored, as under nohup", text)
	}
	return s, nil
}
