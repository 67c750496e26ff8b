//go:build unix

package main

import (
	"log/slog"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/dahernan/gopherdiscovery"
)

// A program in a process group of its own can be sent what a terminal sends at Ctrl-C: a signal to the whole group.
func init() {
	prepare = func(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
}

func TestSignal(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		sig   syscall.Signal
		group bool
		code  int
		want  string
	}{
		{"ctrl-c", syscall.SIGINT, true, 1, "cluster: interrupted\n"},
		{"int", syscall.SIGINT, false, 1, "cluster: interrupted\n"},
		{"term", syscall.SIGTERM, false, 1, "cluster: interrupted\n"},
		{"group-term", syscall.SIGTERM, true, 1, "cluster: interrupted\n"},
		{"kill", syscall.SIGKILL, false, -1, ""}, // the children notice
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			survey, pubsub := "ipc://"+filepath.Join(dir, "s"), "ipc://"+filepath.Join(dir, "p")
			holdUp(t, survey)
			p := start(t, "-server", survey, "-pubsub", pubsub)
			p.readUntil("stranger")
			p.signal(test.sig, test.group)
			_, stderr, code := p.wait()
			if code != test.code || stderr != test.want {
				t.Errorf("exit code %d, stderr %q, want %d and %q", code, stderr, test.code, test.want)
			}
			wantEmpty(t, dir)
		})
	}
}

// holdUp lets a stranger join, so that the peers never have the list that the program waits for.
func holdUp(t *testing.T, survey string) {
	t.Helper()
	quiet := &gopherdiscovery.Dialer{Logger: slog.New(slog.DiscardHandler)}
	stranger, err := quiet.Client(t.Context(), survey, "stranger")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stranger.Wait)
}

// Where the program is when the signal comes is left to chance, and so is whether it comes in time. Nothing may be left.
func TestCtrlCAtAnyMoment(t *testing.T) {
	t.Parallel()
	for lines := range 12 {
		t.Run(strconv.Itoa(lines), func(t *testing.T) {
			t.Parallel()
			p := start(t)
			for range lines {
				p.readUntil("\n")
			}
			p.signal(syscall.SIGINT, true)
			p.wait()
		})
	}
}

func (p *program) signal(sig syscall.Signal, group bool) {
	pid := p.cmd.Process.Pid
	if group {
		pid = -pid
	}
	_ = syscall.Kill(pid, sig) // fails when the program has just ended; that a signal arrives shows in how the program ends
}
