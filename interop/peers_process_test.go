//go:build unix

package interop_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// languages are the languages of the peers, with a function that returns the
// command for each.
var languages = map[string]func(testing.TB) []string{
	"python": func(t testing.TB) []string {
		return []string{python(t), filepath.Join("..", "examples", "python", "peer.py")}
	},
	"c": func(t testing.TB) []string {
		return []string{compile(t)}
	},
}

// python returns the path of the interpreter. Where python3 is a script that
// looks for the interpreter, that takes longer than the rest of the start.
func python(t testing.TB) string {
	t.Helper()
	need(t, "python3", "python3")
	path, err := interpreter()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(path))
}

var interpreter = sync.OnceValues(func() ([]byte, error) {
	return exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
})

// need skips a test if a program is missing, but not where everything must be
// checked.
func need(t testing.TB, program, debian string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		missing(t, program, debian)
	}
}

func missing(t testing.TB, what, debian string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed, and CI needs it", what)
	}
	t.Skipf("%s is not installed (Debian package %s)", what, debian)
}

// compile builds the peer in C, with the flags of its Makefile.
func compile(t testing.TB) string {
	t.Helper()
	need(t, "cc", "gcc")
	include := exec.Command("cc", "-E", "-")
	include.Stdin = strings.NewReader("#include <nng/nng.h>\n")
	if include.Run() != nil {
		missing(t, "nng/nng.h", "libnng-dev")
	}
	out := filepath.Join(t.TempDir(), "peer")
	args := []string{"-O2", "-std=c11", "-Wall", "-Wextra", "-Werror", "-o", out, filepath.Join("..", "examples", "c", "peer.c"), "-lnng"}
	if said, err := exec.Command("cc", args...).CombinedOutput(); err != nil || len(said) > 0 {
		t.Fatalf("cc: %v\n%s", err, said)
	}
	return out
}

// peer is a peer that runs as a process.
type peer struct {
	testing.TB
	cmd    *exec.Cmd
	stderr *strings.Builder
	lines  chan string // what it prints; closed when it ends
}

// startPeer starts a peer, which is killed at the end of the test if it has not
// ended.
func startPeer(t testing.TB, command []string, args ...string) *peer {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &peer{
		TB:     t,
		cmd:    exec.CommandContext(ctx, command[0], append(command[1:], args...)...),
		stderr: new(strings.Builder),
		lines:  make(chan string, 1000),
	}
	p.cmd.Stderr = p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			p.lines <- scanner.Text()
		}
	}()
	t.Cleanup(func() {
		cancel()
		for range p.lines { // a pipe must be read to its end before Wait
		}
		_ = p.cmd.Wait() // fails if the test has waited already
	})
	return p
}

// announcing returns the arguments of a peer.
func announcing(name, survey, pubsub string) []string {
	return []string{"-name", name, "-server", survey, "-pubsub", pubsub}
}

// next returns the next line that the peer prints.
func (p *peer) next() string {
	p.Helper()
	select {
	case line, open := <-p.lines:
		if !open {
			_ = p.cmd.Wait()
			p.Fatalf("the peer has ended: %v, stderr %q", p.cmd.ProcessState, p.stderr)
		}
		return line
	case <-time.After(patience):
		p.Fatal("the peer prints nothing")
	}
	return ""
}

// awaitList reads what the peer prints until the wanted list comes.
func (p *peer) awaitList(want ...string) {
	p.Helper()
	line := fmt.Sprintf("peers: [%s]", strings.Join(want, " "))
	for deadline := time.Now().Add(patience); ; {
		if got := p.next(); got == line {
			return
		} else if time.Now().After(deadline) {
			p.Fatalf("the peer printed %q last, want %q", got, line)
		}
	}
}

// end sends the peer a signal.
func (p *peer) end(sig syscall.Signal) {
	p.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.Fatal(err)
	}
}

// wait returns how the peer has ended: with its exit code, or -1 after a signal
// that it does not handle.
func (p *peer) wait() (code int, stderr string) {
	p.Helper()
	timeout := time.After(patience)
	for open := true; open; {
		select {
		case _, open = <-p.lines:
		case <-timeout:
			p.Fatal("the peer does not end")
		}
	}
	var exit *exec.ExitError
	if err := p.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		p.Fatal(err)
	}
	return p.cmd.ProcessState.ExitCode(), p.stderr.String()
}
