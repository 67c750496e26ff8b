package interop_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// patience is how long a test waits for something that must happen. A server
// that was stopped, as a busy machine may do, waits up to 30 s for its clients.
const patience = 2 * testmain.Patience

// If clientVariable is set, the test binary is an old client, which a test can
// kill. Its arguments are the survey URL and the name of the service.
const clientVariable = "GOPHERDISCOVERY_OLD_CLIENT"

func TestMain(m *testing.M) {
	if os.Getenv(clientVariable) != "" {
		os.Exit(clientProcess(os.Args[1], os.Args[2]))
	}
	// Goroutines of mangos v1 are ignored.
	testmain.Main(m, "dahernan/gopherdiscovery.", "dahernan/gopherdiscovery/internal/sp.", "go.nanomsg.org/mangos/v3")
}

// clientProcess runs an old client until its input ends. The input also ends
// when the test is gone.
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

// startClientProcess starts an old client as a process, and returns a function
// that kills it.
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
		_ = cmd.Wait() // reports the kill
	}
	t.Cleanup(kill)
	return kill
}
