package run

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// ShareTerminal lets the command have the terminal of this process, if there is
// one and this process has it. The terminal stops a command that reads from it
// or sets it, and does not have it. Such a command is given the terminal and
// goes on: from then on Ctrl-C is for its group, and not for that of this
// process. stop takes the terminal back. It must not be called while Signal is.
//
// When the command is stopped by Ctrl-Z, or while this process does not have
// the terminal either, the process group of this process is stopped too. So the
// shell that has started it learns of that. The caller of ShareTerminal passes
// on SIGCONT, with [Process.Signal], and the command goes on.
func (p *Process) ShareTerminal() (stop func()) {
	file, err := os.Open("/dev/tty")
	if err != nil {
		return func() {} // there is none
	}
	tty := terminal{file}
	changes := make(chan os.Signal, 1)
	signal.Notify(changes, syscall.SIGCHLD)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			p.lookIfStopped(tty)
			select {
			case <-changes:
			case <-quit:
				return
			}
		}
	}()
	return func() {
		signal.Stop(changes)
		close(quit)
		<-done
		p.sharing.wanted.Store(nil)
		if tty.holder() == p.cmd.Process.Pid {
			tty.give(syscall.Getpgrp())
		}
		_ = file.Close()
	}
}

// sharing is what a command waits for while it is stopped.
type sharing struct {
	wanted atomic.Pointer[terminal] // nil if it does not wait for it
}

// giveWanted gives the command the terminal that it has waited for, if this
// process has that and the command is about to go on. If the command went on
// without it, the terminal would stop its group again. A stop and SIGCONT that
// reach a group at the same time may leave one process of it stopped, of which
// its parent hears nothing.
func (p *Process) giveWanted(sig os.Signal) {
	tty := p.sharing.wanted.Load()
	if sig == syscall.SIGCONT && tty != nil && tty.holder() == syscall.Getpgrp() {
		tty.give(p.cmd.Process.Pid)
	}
}

func (p *Process) lookIfStopped(tty terminal) {
	info := waitid(unix.P_PID, p.cmd.Process.Pid, unix.WSTOPPED)
	if info.pid == 0 {
		return
	}
	by, holder := syscall.Signal(info.status), tty.holder()
	wants := by == syscall.SIGTTIN || by == syscall.SIGTTOU
	if !wants && by != syscall.SIGTSTP {
		return
	}
	p.sharing.wanted.Store(nil)
	if wants || holder == p.cmd.Process.Pid {
		p.sharing.wanted.Store(&tty)
	}
	switch {
	case wants && (holder == syscall.Getpgrp() || holder == p.cmd.Process.Pid):
		p.Signal(syscall.SIGCONT)
	case hasShell():
		_ = syscall.Kill(0, syscall.SIGSTOP)
	case !wants:
		p.Signal(syscall.SIGCONT) // there is nobody else to do that
	}
}

// hasShell reports whether a shell has started the process group of this
// process as a job of its session, and so can make it go on when it is stopped.
func hasShell() bool {
	own, _ := unix.Getsid(0)
	for parent := os.Getppid(); parent != 0; parent = parentOf(parent) {
		if group, _ := syscall.Getpgid(parent); group != syscall.Getpgrp() {
			session, err := unix.Getsid(parent)
			return err == nil && session == own
		}
	}
	return false
}

// parentOf returns 0 if it is not known.
func parentOf(pid int) (parent int) {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	var state string
	_, _ = fmt.Sscan(string(stat[bytes.LastIndexByte(stat, ')')+1:]), &state, &parent)
	return parent
}

// terminal is one that a single process group at a time can use.
type terminal struct{ *os.File }

// holder returns the process group that has the terminal.
func (t terminal) holder() int {
	group, _ := unix.IoctlGetInt(int(t.Fd()), unix.TIOCGPGRP)
	return group
}

// give gives the terminal to a process group. This process may do so without
// having it, as long as it does not listen to SIGTTOU.
func (t terminal) give(group int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var blocked, before unix.Sigset_t
	blocked.Val[0] = 1 << (syscall.SIGTTOU - 1)
	if unix.PthreadSigmask(unix.SIG_BLOCK, &blocked, &before) == nil {
		_ = unix.IoctlSetPointerInt(int(t.Fd()), unix.TIOCSPGRP, group)
		_ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
	}
}
