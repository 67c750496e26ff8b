//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

// In the tests whose names say that the log is not read, stderr is full from
// the start.

func TestServeLogIsNotRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, pubsub := "ipc://"+filepath.Join(dir, "s"), "ipc://"+filepath.Join(dir, "p")
	p := clitest.StartUnread(t, "serve", "-server", server, "-pubsub", pubsub, "-return-time", clitest.PollTime.String())
	clitest.Join(t, clitest.Quiet, server, "a")
	clitest.AwaitList(t, clitest.Quiet, pubsub, "a")
	p.Signal(syscall.SIGTERM)
	if _, _, code := p.Wait(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if _, _, code := clitest.StartUnread(t, "serve", "-server", "nonsense").Wait(); code != 2 {
		t.Errorf("exit code %d, want 2", code)
	}
}

func TestAnnounceLogIsNotRead(t *testing.T) {
	t.Parallel()
	server, pubsub := startServer(t)
	p := clitest.StartUnread(t, "announce", "-server", server, "-name", announced, "-grace", "0s", "--",
		"/bin/sh", "-c", `exec 2>/dev/null; trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done`)
	p.Stdout.Await("^ready$")
	clitest.AwaitList(t, clitest.Quiet, pubsub, announced)
	p.Signal(syscall.SIGTERM)
	if _, _, code := p.Wait(); code != 3 {
		t.Errorf("exit code %d, want 3", code)
	}
}

func TestWatchLogIsNotRead(t *testing.T) {
	t.Parallel()
	server, pubsub := startServer(t, "http://10.0.0.2:80", "no-port")
	spec, file := templateOf(t, addresses)
	p := clitest.StartUnread(t, "watch", "-pubsub", pubsub, "-template", spec, "-exec", "cp "+file+" "+file+".loaded")
	awaitFile(t, file+".loaded", "10.0.0.2:80\n")
	clitest.Join(t, clitest.Quiet, server, "http://10.0.0.3:80")
	awaitFile(t, file+".loaded", "10.0.0.2:80\n10.0.0.3:80\n")
	p.Signal(syscall.SIGTERM)
	if _, _, code := p.Wait(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// The commands of a program that outlives its readers end with theirs.
func TestWatchCommandGetsSIGPIPE(t *testing.T) {
	t.Parallel()
	_, pubsub := startServer(t, "a")
	p := startCommand(t, "watch", "-pubsub", pubsub, "--", "/bin/sh", "-c", "kill -PIPE $$; echo ignored")
	p.Stderr.Await(`level=ERROR msg=failed error=".*: signal: broken pipe"`)
}

// A reader that hangs holds up no end. There are more names than fit into a
// pipe, and one byte of them is read.
func TestOutputIsNotRead(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 200 {
		names = append(names, fmt.Sprintf("http://10.0.0.2:80/%03d/%s", i, strings.Repeat("x", 450)))
	}
	_, pubsub := startServer(t, names...)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]int{"watch": 0, "watch -json": 0, "list": 1} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), clitest.Patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, self, append(strings.Fields(args), "-pubsub", pubsub)...)
			cmd.Env = append(os.Environ(), clitest.AsProgram)
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := stdout.Read(make([]byte, 1)); err != nil {
				t.Errorf("read: %v", err)
			}
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Errorf("signal: %v", err)
			}
			if err := cmd.Wait(); cmd.ProcessState.ExitCode() != want {
				t.Errorf("%v, want exit code %d", err, want)
			}
		})
	}
}
