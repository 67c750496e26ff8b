//go:build unix

package clitest

import (
	"os/exec"
	"syscall"
	"testing"
)

// prepare puts the program into a process group of its own: it can be sent what
// a terminal sends at Ctrl-C, a signal to the whole group.
func prepare(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// Signal sends a signal to the program.
func (p *Program) Signal(sig syscall.Signal) { p.signal(p.cmd.Process.Pid, sig) }

// SignalGroup sends a signal to the program and to the processes that it has
// started.
func (p *Program) SignalGroup(sig syscall.Signal) { p.signal(-p.cmd.Process.Pid, sig) }

// signal fails when the program has just ended. That a signal arrives shows in
// how the program ends.
func (p *Program) signal(pid int, sig syscall.Signal) { _ = syscall.Kill(pid, sig) }

// Interrupt runs the program's demonstration until its output matches the
// pattern, and then ends it as a terminal would, and by force. It wants that
// the program says so, and that no process is left.
func Interrupt(t *testing.T, name, pattern string) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			p := Start(t, "-demo")
			p.Stdout.Await(pattern)
			if sig == syscall.SIGKILL {
				p.Signal(sig) // the children notice
				p.Wait()
				return
			}
			p.SignalGroup(sig)
			if _, stderr, code := p.Wait(); code != 1 || stderr != name+": interrupted\n" {
				t.Errorf("exit code %d, stderr %q, want 1 and that it was interrupted", code, stderr)
			}
		})
	}
}
