//go:build unix

package clitest

import (
	"os/exec"
	"syscall"
)

// prepare puts the program into a process group of its own: it can be sent what a terminal sends at Ctrl-C, a signal to the
// whole group.
func prepare(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// Signal sends a signal to the program.
func (p *Program) Signal(sig syscall.Signal) { p.signal(p.cmd.Process.Pid, sig) }

// SignalGroup sends a signal to the program and to the processes that it has started.
func (p *Program) SignalGroup(sig syscall.Signal) { p.signal(-p.cmd.Process.Pid, sig) }

// signal fails when the program has just ended. That a signal arrives shows in how the program ends.
func (p *Program) signal(pid int, sig syscall.Signal) { _ = syscall.Kill(pid, sig) }
