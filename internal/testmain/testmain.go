// Package testmain runs the tests of a package, and waits for what they want.
package testmain

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Patience is how long a test waits for something that must happen. Only a test
// that fails waits that long.
const Patience = 30 * time.Second

// waiters is how many tests run at a time. They mostly wait, so that can be
// more than there are processors.
const waiters = 8

// Main runs the tests as [Run] does, and exits.
func Main(m *testing.M, ours ...string) {
	SetParallel(waiters)
	os.Exit(Run(m, ours...))
}

// Run runs the tests and returns the exit code. They fail if they leave
// goroutines behind, as [LeftGoroutines] finds them.
func Run(m *testing.M, ours ...string) (code int) {
	code = m.Run()
	if left := LeftGoroutines(ours...); left != "" && code == 0 {
		fmt.Fprintln(os.Stderr, "goroutines left behind:\n"+left)
		code = 1
	}
	return code
}

// SetParallel sets how many parallel tests run at a time, unless the command
// line does. It leaves the number of workers of a fuzz target alone, which
// never wait.
func SetParallel(n int) {
	flag.Parse()
	parallel, isFuzz := flag.Lookup("test.parallel"), flag.Lookup("test.fuzz").Value.String() != ""
	if !isFuzz && parallel.Value.String() == parallel.DefValue {
		_ = parallel.Value.Set(strconv.Itoa(n))
	}
}

// IsRace reports whether the race detector is on.
func IsRace() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// Rounds returns n, or a tenth of it under the race detector. It is for tests
// of code without goroutines, where the detector finds nothing and takes ten
// times as long.
func Rounds(n int) int {
	if IsRace() {
		return n / 10
	}
	return n
}

// LeftGoroutines returns the stacks of goroutines that should have ended, which
// are those that contain one of the given strings, or all if none is given. A
// goroutine that was told to end may need a moment to be scheduled for the last
// time.
func LeftGoroutines(ours ...string) string {
	var left string
	for deadline := time.Now().Add(Patience / 6); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		runtime.Gosched()
		var all strings.Builder
		_ = pprof.Lookup("goroutine").WriteTo(&all, 2)
		left = ""
		for stack := range strings.SplitSeq(all.String(), "\n\n") {
			if isLeft(stack, ours) {
				left += stack + "\n\n"
			}
		}
		if left == "" {
			return ""
		}
	}
	return left
}

func isLeft(stack string, ours []string) bool {
	// These look, wait for their turn, or never end.
	for _, other := range []string{"testmain.LeftGoroutines(", "testing.(*T).Parallel(", "os/signal.loop("} {
		if strings.Contains(stack, other) {
			return false
		}
	}
	return len(ours) == 0 || slices.ContainsFunc(ours, func(own string) bool { return strings.Contains(stack, own) })
}
