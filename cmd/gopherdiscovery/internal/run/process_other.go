//go:build !unix

package run

import (
	"os"
	"os/exec"
)

// terminate is the one signal that can be sent everywhere.
var terminate = os.Kill

func lead(*exec.Cmd) {}

func signalGroup(leader *os.Process, sig os.Signal) { _ = leader.Signal(sig) }

func isGroupLeft(p *Process) bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Shell returns the command that runs a line of the system's shell.
func Shell(line string) []string { return []string{"cmd", "/C", line} }
