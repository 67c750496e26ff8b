//go:build linux

package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// running counts the children that have not been waited for.
var running atomic.Int64

// process is a child, as its parent sees it.
type process struct {
	t      *testing.T
	id     string // never used again
	order  order
	space  *space // nil for the parent's
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr bytes.Buffer
	states chan state
	left   string        // what it has leaked; set when done is closed
	bye    bool          // it has reported that; set when done is closed
	done   chan struct{} // closed when it has ended
	killed bool
}

var lastID atomic.Int64

// launch starts a child. The lists that it reports go to the monitor, which
// expects them before the child starts.
func launch(t *testing.T, name string, o order, in *space, m *monitor) *process {
	t.Helper()
	p := &process{t: t, order: o, space: in, states: make(chan state, 1), done: make(chan struct{})}
	p.id = fmt.Sprintf("%s-%d", name, lastID.Add(1))
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(self)
	if in != nil {
		command := []string{"-t", strconv.Itoa(in.holder.Process.Pid), "-n", self}
		if in.resolver != "" {
			const inPlace = `mount --bind "$0" /etc/resolv.conf && exec "$1"`
			command = append(command[:3], "unshare", "-m", "sh", "-c", inPlace, in.resolver, self)
		}
		p.cmd = exec.Command("nsenter", command...)
	}
	// Without this setting the race detector would make each process pause for
	// a second when it exits.
	p.cmd.Env = append(os.Environ(), orderVariable+"="+string(text), "GORACE=atexit_sleep_ms=10", "GODEBUG=netdns="+o.Resolver)
	// A stopped process does not see its stdin end.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.cmd.Stderr = &p.stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	running.Add(1)
	m.expect(p)
	go p.listen(stdout, m)
	return p
}

func (p *process) listen(stdout io.Reader, m *monitor) {
	defer close(p.done)
	for in := json.NewDecoder(stdout); ; {
		var r report
		if in.Decode(&r) != nil {
			break
		}
		switch {
		case r.List != nil:
			m.hear(p, *r.List)
		case r.State != nil:
			p.states <- *r.State
		case r.Left != nil:
			p.left, p.bye = *r.Left, true
		}
	}
	_ = p.cmd.Wait() // how it ended is in ProcessState
	running.Add(-1)
}

// ask sends a request to a child.
func (p *process) ask(what string) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, what); err != nil {
		p.t.Fatalf("%s: %v\n%s", p.id, err, p.stderr.String())
	}
}

// state asks a child for its state. It must not be called concurrently for one
// process, nor while that process is stopped.
func (p *process) state() state {
	p.t.Helper()
	p.ask(askState)
	select {
	case s := <-p.states:
		return s
	case <-p.done:
		p.t.Fatalf("%s has ended\n%s", p.id, p.stderr.String())
	case <-time.After(patience):
		p.t.Fatalf("%s does not answer", p.id)
	}
	panic("unreachable")
}

func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatalf("%s: %v", p.id, err)
	}
}

// hurry lets the child run before others, if this process may do that.
func (p *process) hurry() {
	threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.cmd.Process.Pid))
	for _, thread := range threads {
		if id, err := strconv.Atoi(thread.Name()); err == nil {
			_ = syscall.Setpriority(syscall.PRIO_PROCESS, id, -20)
		}
	}
}

// kill ends the child without giving it time for anything.
func (p *process) kill() {
	p.t.Helper()
	p.killed = true
	p.signal(syscall.SIGKILL)
	<-p.done
}

// end lets the child end by itself, and fails the test if it has leaked
// anything.
func (p *process) end() {
	p.t.Helper()
	if p.killed {
		return
	}
	_ = p.stdin.Close()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Errorf("%s does not end", p.id)
		p.kill()
		return
	}
	if p.left != "" {
		p.t.Errorf("%s has leaked: %s", p.id, p.left)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 || !p.bye || p.stderr.Len() > 0 {
		p.t.Errorf("%s: exit code %d, stderr %q, want 0 and nothing", p.id, code, p.stderr.String())
	}
}
