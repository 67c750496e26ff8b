//go:build unix

package main

import (
	"strings"
	"syscall"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

func TestWatchSignal(t *testing.T) {
	t.Parallel()
	_, pubsub := startServer(t, "a")
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			p := startCommand(t, "watch", "-pubsub", pubsub)
			p.Stdout.Await(`total 1\n`)
			p.Signal(sig)
			if _, stderr, code := p.Wait(); code != 0 || stderr != "" {
				t.Errorf("exit code %d, stderr %q, want 0 and nothing", code, stderr)
			}
		})
	}
}

// A list that was not printed must not look like one that is empty.
func TestListInterrupted(t *testing.T) {
	t.Parallel()
	p := startCommand(t, "list", "-timeout", clitest.Patience.String(), "-pubsub", closedPort)
	p.Stderr.Await(`cannot reach the server.*connection refused`)
	p.Signal(syscall.SIGINT)
	stdout, stderr, code := p.Wait()
	if code != 1 || stdout != "" || !strings.HasSuffix(stderr, "\ngopherdiscovery: interrupted\n") {
		t.Errorf("exit code %d, stdout %q, stderr %q, want 1, nothing and that it was interrupted", code, stdout, stderr)
	}
}

func TestWatchUnreachableServer(t *testing.T) {
	t.Parallel()
	p := startCommand(t, "watch", "-pubsub", closedPort)
	p.Stderr.Await(`cannot reach the server.*connection refused`)
	p.Signal(syscall.SIGTERM)
	if stdout, _, code := p.Wait(); code != 0 || stdout != "" {
		t.Errorf("exit code %d, stdout %q, want 0 and nothing", code, stdout)
	}
}

// As in watch | head: the next change finds that the reader has gone.
func TestWatchReaderIsGone(t *testing.T) {
	t.Parallel()
	server, pubsub := startServer(t, "a")
	p := startCommand(t, "watch", "-pubsub", pubsub)
	p.Stdout.Await(`total 1\n`)
	p.Stdout.Close()
	clitest.Join(t, clitest.Quiet, server, "b")
	if _, stderr, code := p.Wait(); code != -1 || stderr != "" {
		t.Errorf("exit code %d, stderr %q, want -1, by SIGPIPE, and nothing", code, stderr)
	}
}
