package gopherdiscovery_test

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"
)

// patience is how long a test waits for something that must happen. Only a test
// that fails waits that long.
const patience = 30 * time.Second

// children are the programs that the test binary can be instead of running
// tests, by the environment variable that selects each.
var children = make(map[string]func())

func TestMain(m *testing.M) {
	for variable, run := range children {
		if os.Getenv(variable) != "" {
			run()
			return
		}
	}
	code := m.Run()
	if left := leftGoroutines(); left != "" && code == 0 {
		fmt.Fprintln(os.Stderr, "goroutines left behind:\n"+left)
		code = 1
	}
	os.Exit(code)
}

// leftGoroutines returns the stacks of goroutines that the library or mangos
// should have ended. A goroutine that was told to end may need a moment to be
// scheduled for the last time.
func leftGoroutines() string {
	var left string
	for deadline := time.Now().Add(patience / 6); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		runtime.Gosched()
		var all strings.Builder
		_ = pprof.Lookup("goroutine").WriteTo(&all, 2)
		left = ""
		for stack := range strings.SplitSeq(all.String(), "\n\n") {
			isOurs := strings.Contains(stack, "dahernan/gopherdiscovery.") || strings.Contains(stack, "go.nanomsg.org/mangos/")
			isTest := strings.Contains(stack, "testing.(*T).Parallel(") // it waits for its turn
			if isOurs && !isTest {
				left += stack + "\n\n"
			}
		}
		if left == "" {
			return ""
		}
	}
	return left
}
