//go:build unix

package run

import (
	"os"
	"os/exec"
	"syscall"
)

const terminate = syscall.SIGTERM

func lead(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Setpgid = true
}

// signalGroup ignores errors: that there is nobody to signal is no error, and
// those of the group that have become another user's are out of reach.
func signalGroup(leader *os.Process, sig os.Signal) {
	if number, ok := sig.(syscall.Signal); ok {
		_ = syscall.Kill(-leader.Pid, number)
	}
}

func isGroupLeft(p *Process) bool { return syscall.Kill(-p.cmd.Process.Pid, 0) == nil }

// Shell returns the command that runs a line of the system's shell.
func Shell(line string) []string { return []string{"/bin/sh", "-c", line} }
