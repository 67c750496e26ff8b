package interop_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen. It is only ever used up by a test that fails.
const patience = 30 * time.Second

// In a process that has the variable set, this program is an old client, which a test can kill. Its arguments are the
// survey URL and the name of the service.
const clientVariable = "GOPHERDISCOVERY_OLD_CLIENT"

func TestMain(m *testing.M) {
	if os.Getenv(clientVariable) != "" {
		os.Exit(clientProcess(os.Args[1], os.Args[2]))
	}
	code := m.Run()
	if left := leftGoroutines(); left != "" && code == 0 {
		fmt.Fprintln(os.Stderr, "goroutines left behind:\n"+left)
		code = 1
	}
	os.Exit(code)
}

// clientProcess is an old client until its input ends, which it also does when the test is gone.
func clientProcess(survey, service string) (code int) {
	client, err := dialOldClient(survey, service)
	if err == nil {
		_, err = io.Copy(io.Discard, os.Stdin)
		client.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// startClientProcess returns a function that kills the process.
func startClientProcess(t *testing.T, survey, service string) (kill func()) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, survey, service)
	cmd.Env = append(os.Environ(), clientVariable+"=1")
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // its error tells of the kill
	}
	t.Cleanup(kill)
	return kill
}

// leftGoroutines returns the stacks of the goroutines that the library or its mangos should have ended. What has been told to end
// may need a moment to be scheduled for the last time. Those of mangos v1 are its own affair.
func leftGoroutines() string {
	var left string
	for deadline := time.Now().Add(patience / 6); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		runtime.Gosched()
		var all strings.Builder
		_ = pprof.Lookup("goroutine").WriteTo(&all, 2)
		left = ""
		for stack := range strings.SplitSeq(all.String(), "\n\n") {
			if strings.Contains(stack, "dahernan/gopherdiscovery.") || strings.Contains(stack, "go.nanomsg.org/mangos/v3") {
				left += stack + "\n\n"
			}
		}
		if left == "" {
			return ""
		}
	}
	return left
}
