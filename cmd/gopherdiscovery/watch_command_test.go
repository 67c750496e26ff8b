//go:build unix

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

// Nothing else runs meanwhile, and the command that runs then gets what has
// come of it all.
func TestWatchCommand(t *testing.T) {
	t.Parallel()
	server, pubsub := startServer(t, "a")
	dir := t.TempDir()
	p := startCommand(t, "watch", "-pubsub", pubsub, "--", "sh", "-c", `cat; while ! test -e "$1"; do sleep 0.01; done; rm "$1"`, "sh", filepath.Join(dir, "go"))
	next := func(joined, left []string, list ...string) {
		t.Helper()
		line := p.Stderr.Await(`\A.*\n`)[0]
		var got event
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if got.Time.IsZero() || got.Total != len(list) ||
			!slices.Equal(got.Joined, joined) || !slices.Equal(got.Left, left) || !slices.Equal(got.List, list) {
			t.Errorf("%s, want %q joined, %q left, %q there", line, joined, left, list)
		}
	}
	proceed := func() {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	next([]string{"a"}, nil, "a")
	b := clitest.Join(t, clitest.Quiet, server, "b")
	clitest.Join(t, clitest.Quiet, server, "c")
	clitest.AwaitList(t, clitest.Quiet, pubsub, "a", "b", "c")
	_ = b.Close()
	clitest.Join(t, clitest.Quiet, server, "d")
	// The subscription of the program may lag behind this one, but not for
	// long: what it prints in the end is certain.
	clitest.AwaitList(t, clitest.Quiet, pubsub, "a", "c", "d")
	proceed()
	var got event
	for joined := []string(nil); got.Total != 3; {
		line := p.Stderr.Await(`\A.*\n`)[0]
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		joined = append(joined, got.Joined...)
		if !slices.Contains(joined, "c") {
			t.Errorf("%s, want c joined", line)
		}
		proceed()
	}
	if want := []string{"a", "c", "d"}; !slices.Equal(got.List, want) {
		t.Errorf("in the end %q are there, want %q", got.List, want)
	}
	p.Signal(syscall.SIGTERM)
	if stdout, _, code := p.Wait(); code != 0 || stdout != "" {
		t.Errorf("exit code %d, stdout %q, want 0 and nothing", code, stdout)
	}
}

func TestWatchCommandFails(t *testing.T) {
	t.Parallel()
	server, pubsub := startServer(t, "a")
	p := startCommand(t, "watch", "-pubsub", pubsub, "--", "sh", "-c", "cat; exit 3")
	p.Stderr.Await(`"list":\["a"\]}\n.*level=ERROR msg=failed error="sh -c cat; exit 3: exit status 3" repeated=false\n`)
	clitest.Join(t, clitest.Quiet, server, "b")
	p.Stderr.Await(`\A.*"joined":\["b"\],"left":\[\],"total":2,"list":\["a","b"\]}\n`)
}

// A signal does not leave a file there that was not checked.
func TestWatchEndsWhileACommandRuns(t *testing.T) {
	t.Parallel()
	_, pubsub := startServer(t, "http://10.0.0.2:80")
	spec, file := templateOf(t, addresses)
	p := startCommand(t, "watch", "-pubsub", pubsub, "-template", spec, "-check", "echo checks; while ! test -e "+file+".go; do sleep 0.01; done; false")
	p.Stderr.Await(`^checks\n`)
	p.SignalGroup(syscall.SIGTERM) // as a terminal does, and not to the command
	wantFile(t, file, "10.0.0.2:80\n")
	if err := os.WriteFile(file+".go", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := p.Wait(); code != 0 || !strings.Contains(stderr, "-check") {
		t.Errorf("exit code %d, stderr %q, want 0 and that the check has failed", code, stderr)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("error %v, want that there is no file", err)
	}
}
