// Package leak fails tests that leave goroutines behind.
package leak

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"
)

// Patience is how long a test waits for what must happen. It is only ever used
// up by a test that fails.
const Patience = 30 * time.Second

// Main runs the tests and exits. A goroutine of this project, or of what it
// stands on, is one too many then.
func Main(m *testing.M) {
	code := m.Run()
	if left := goroutines(); left != "" && code == 0 {
		fmt.Fprintln(os.Stderr, "goroutines left behind:\n"+left)
		code = 1
	}
	os.Exit(code)
}

// goroutines returns the stacks of those that should have ended. What has been
// told to end may need a moment to be scheduled for the last time.
func goroutines() (left string) {
	for deadline := time.Now().Add(Patience / 6); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		runtime.Gosched()
		var all strings.Builder
		_ = pprof.Lookup("goroutine").WriteTo(&all, 2)
		left = ""
		for stack := range strings.SplitSeq(all.String(), "\n\n") {
			if strings.Contains(stack, "leak.goroutines") {
				continue
			}
			for _, ours := range []string{"dahernan/gopherdiscovery", "go.nanomsg.org/mangos/", "google.golang.org/grpc"} {
				if strings.Contains(stack, ours) {
					left += stack + "\n\n"
					break
				}
			}
		}
		if left == "" {
			return ""
		}
	}
	return left
}
