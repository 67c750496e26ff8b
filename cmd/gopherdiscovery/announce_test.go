//go:build unix

package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

const announced = "http://10.0.0.2:8080"

// startAnnounce announces a script of the shell.
func startAnnounce(t *testing.T, server, script string, flags ...string) *clitest.Program {
	t.Helper()
	args := append([]string{"-server", server, "-name", announced}, flags...)
	return startCommand(t, "announce", append(args, "--", "/bin/sh", "-c", script)...)
}

// A terminal sends Ctrl-C to its whole foreground process group, which the
// command is not in.
func TestAnnounceLeavesFirst(t *testing.T) {
	t.Parallel()
	server, pubsub := startServer(t)
	p := startAnnounce(t, server, `trap 'echo INT; exit 3' INT; echo ready; while :; do sleep 0.01; done`, "-grace", "1h")
	p.Stdout.Await("^ready$")
	clitest.AwaitList(t, clitest.Quiet, pubsub, announced)
	p.Stderr.Await("msg=announced") // which is a moment later
	p.SignalGroup(syscall.SIGINT)
	clitest.AwaitList(t, clitest.Quiet, pubsub)
	p.SignalGroup(syscall.SIGINT) // cuts the grace short
	stdout, stderr, code := p.Wait()
	if code != 3 || stdout != "ready\nINT\n" || strings.Count(stderr, "\n") != 2 {
		t.Errorf("exit code %d, stdout %q, stderr %q, want 3, both lines, and that the name came and went", code, stdout, stderr)
	}
}

func TestAnnounceEndsAsTheCommandDoes(t *testing.T) {
	t.Parallel()
	server, pubsub := startServer(t)
	for script, want := range map[string]int{
		"exit 0":        0,
		"exit 4":        4,
		"kill -KILL $$": 137,
		"exec /missing": 127,
	} {
		if _, _, code := startAnnounce(t, server, script, "-grace", "1h").Wait(); code != want {
			t.Errorf("%s: exit code %d, want %d", script, code, want)
		}
	}
	_, stderr, code := startCommand(t, "announce", "-server", server, "-name", announced, "--", "/missing").Wait()
	if code != 127 || !strings.Contains(stderr, "/missing") {
		t.Errorf("exit code %d, stderr %q, want 127 and the name of the missing command", code, stderr)
	}
	clitest.AwaitList(t, clitest.Quiet, pubsub)
}

func TestAnnounceKills(t *testing.T) {
	t.Parallel()
	server, _ := startServer(t)
	p := startAnnounce(t, server, `trap '' TERM; echo ready; while :; do sleep 0.01; done`, "-grace", "0s", "-kill-after", "50ms")
	p.Stdout.Await("^ready$")
	p.Signal(syscall.SIGTERM)
	if _, stderr, code := p.Wait(); code != 137 || !strings.Contains(stderr, "killed") {
		t.Errorf("exit code %d, stderr %q, want 137 and that it was killed", code, stderr)
	}
}

func TestAnnounceWhileHealthy(t *testing.T) {
	t.Parallel()
	server, pubsub := startServer(t)
	var healthy atomic.Bool
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !healthy.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(page.Close)
	p := startAnnounce(t, server, "exec sleep 1000", "-check", page.URL, "-interval", "1s", "-rise", "2", "-fall", "2")
	p.Stderr.Await("level=INFO.*the check does not succeed yet.*503")
	clitest.AwaitList(t, clitest.Quiet, pubsub)
	for range 2 {
		healthy.Store(true)
		clitest.AwaitList(t, clitest.Quiet, pubsub, announced)
		healthy.Store(false)
		clitest.AwaitList(t, clitest.Quiet, pubsub)
	}
	p.Signal(syscall.SIGTERM)
	if _, stderr, code := p.Wait(); code != 128+15 {
		t.Errorf("exit code %d, stderr %q, want 143", code, stderr)
	}
}

// A drain takes nothing from the command but its place on the list.
func TestAnnounceDrain(t *testing.T) {
	t.Parallel()
	server, pubsub := startServer(t)
	file := filepath.Join(t.TempDir(), "drain")
	p := startAnnounce(t, server, "exec sleep 1000", "-check", "exec:true", "-drain", file, "-drain-signal", "USR1", "-grace", "0s")
	clitest.AwaitList(t, clitest.Quiet, pubsub, announced)
	p.Signal(syscall.SIGUSR1)
	clitest.AwaitList(t, clitest.Quiet, pubsub)
	p.Signal(syscall.SIGUSR1)
	clitest.AwaitList(t, clitest.Quiet, pubsub, announced)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	clitest.AwaitList(t, clitest.Quiet, pubsub)
	p.Signal(syscall.SIGTERM)
	if _, stderr, code := p.Wait(); code != 128+15 || strings.Count(stderr, "drained") != 2 {
		t.Errorf("exit code %d, stderr %q, want 143 and two lines about a drain", code, stderr)
	}
}

// The command is not left alone because nobody reads the log, and it gets a
// SIGPIPE of its own.
func TestAnnounceReaderIsGone(t *testing.T) {
	t.Parallel()
	server, pubsub := startServer(t)
	p := startAnnounce(t, server, `exec 2>/dev/null; trap 'exit 3' TERM; sh -c 'kill -PIPE $$; echo ignored'; echo ready; while :; do sleep 0.01; done`, "-grace", "0s")
	p.Stdout.Await(`\Aready$`)
	clitest.AwaitList(t, clitest.Quiet, pubsub, announced)
	p.Stderr.Close()
	p.Signal(syscall.SIGTERM)
	if _, _, code := p.Wait(); code != 3 {
		t.Errorf("exit code %d, want 3", code)
	}
}

func TestAnnounceBadArguments(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ args, want string }{
		{"-name a", "no command"},
		{"-- echo", "-name"},
		{"-name a|b -- echo", `gopherdiscovery: invalid service name: -name "a|b"`},
		{"-name a -server nonsense -- echo", `"nonsense"`},
		{"-name a -check nonsense -- echo", "-check"},
		{"-name a -end-signal nonsense -- echo", `"nonsense"`},
		{"-name a -check http:///health -- echo", "-check"},
		{"-name a -check tcp://127.0.0.1 -- echo", "-check"},
		{"-name a -check exec: -- echo", "-check"},
		{"-name a -drain /dev/null/a -- echo", "-drain"},
		{"-name a -drain-signal nonsense -- echo", `"nonsense"`},
		{"-name a -drain-signal TERM -- echo", "-drain-signal"},
		{"-name a -drain-signal USR1 -end-signal USR1 -- echo", "-drain-signal"},
		{"-name a -interval 0s -- echo", "-interval 0s"},
		{"-name a -rise 0 -- echo", "-rise 0"},
		{"-name a -fall 0 -- echo", "-fall 0"},
		{"-name a -grace -1s -- echo", "-grace -1s"},
		{"-name a -kill-after -1s -- echo", "-kill-after -1s"},
		{"-nonsense -- echo", "-nonsense"},
	} {
		t.Run(test.args, func(t *testing.T) {
			t.Parallel()
			startCommand(t, "announce", strings.Fields(test.args)...).WantFailure(2, "gopherdiscovery: ", test.want)
		})
	}
}

func TestAnnounceEnvironment(t *testing.T) {
	t.Parallel()
	server, pubsub := startServer(t)
	variables := []string{"GOPHERDISCOVERY_ANNOUNCE_SERVER=" + server, "GOPHERDISCOVERY_ANNOUNCE_NAME=" + announced}
	p := startCommand(t, "announce", slices.Concat(variables, []string{"--", "sleep", "1000"})...)
	clitest.AwaitList(t, clitest.Quiet, pubsub, announced)
	p.Signal(syscall.SIGTERM)
	if _, _, code := p.Wait(); code != 128+15 {
		t.Errorf("exit code %d, want 143", code)
	}
}
