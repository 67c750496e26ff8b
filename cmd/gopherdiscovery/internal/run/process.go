// Package run runs commands in process groups of their own, so that a command
// can be ended together with all that it has started.
//
// As process 1 of a container it also takes in the processes whose parents have
// ended, on Linux: these would stay as zombies.
//
// Outside Unix there are no process groups: only the command itself is ended,
// and at once.
package run

import (
	"os"
	"os/exec"
	"time"
)

// lingering is how long the copying of standard input and output may go on
// when the command has ended, because something that it has started still has
// them open.
const lingering = time.Second

// Process is a command that has been started. Its methods may be called
// concurrently.
type Process struct {
	cmd     *exec.Cmd
	done    chan struct{} // closed when err says how it has ended
	err     error
	sharing sharing
}

// Start starts cmd as the leader of a new process group. Ctrl-C in a terminal
// does not reach the group. Start takes over cmd: its Process, SysProcAttr and
// WaitDelay, and the call of Wait.
func Start(cmd *exec.Cmd) (*Process, error) {
	lead(cmd)
	cmd.WaitDelay = lingering
	p := &Process{cmd: cmd, done: make(chan struct{})}
	if err := commands.start(p); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		p.err = cmd.Wait()
		commands.ended(p)
		if p.err == exec.ErrWaitDelay {
			p.err = nil // it has ended well, and left something behind that runs
		}
	}()
	return p, nil
}

// Done returns a channel that is closed when the command has ended. Others in
// its group may still run.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the end of the command. It returns nil if the exit code is 0,
// and as a rule an [exec.ExitError] otherwise.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// Signal sends a signal to every process of the group. It does nothing when
// none is left. Before SIGCONT it gives the group the terminal, if
// [Process.ShareTerminal] is to share it and the command has waited for it.
func (p *Process) Signal(sig os.Signal) {
	p.giveWanted(sig)
	signalGroup(p.cmd.Process, sig)
}

// IsGroupLeft reports whether a process of the group is left that can be sent a
// signal.
func (p *Process) IsGroupLeft() bool { return isGroupLeft(p) }

// Stop asks every process of the group to end, with SIGTERM. When the command
// has ended, or the grace is over, it kills those that are left. It returns
// when the command has ended.
func (p *Process) Stop(grace time.Duration) {
	p.Signal(terminate)
	select {
	case <-p.done:
	case <-time.After(grace):
	}
	p.Signal(os.Kill)
	<-p.done
}
