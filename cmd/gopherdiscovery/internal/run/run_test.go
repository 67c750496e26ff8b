//go:build unix

package run_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/cmd/gopherdiscovery/internal/run"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// output is where a command writes to. A pipe also tells when the last process
// that has it open is gone.
type output struct {
	write *os.File
	lines *bufio.Scanner
}

func newOutput(t *testing.T) output {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = read.Close() })
	if err := read.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return output{write, bufio.NewScanner(read)}
}

func (o output) line(t *testing.T) string {
	t.Helper()
	if !o.lines.Scan() {
		t.Fatalf("no line of output: %v", o.lines.Err())
	}
	return o.lines.Text()
}

// wantEnd wants that all who had the output open are gone.
func (o output) wantEnd(t *testing.T) {
	t.Helper()
	for o.lines.Scan() {
		t.Errorf("output %q, want none", o.lines.Text())
	}
	if err := o.lines.Err(); err != nil {
		t.Errorf("a process is left: %v", err)
	}
}

func start(t *testing.T, script string) (*run.Process, output) {
	t.Helper()
	out := newOutput(t)
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Stdout = out.write
	p, err := run.Start(cmd)
	_ = out.write.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(0) })
	return p, out
}

func wantCode(t *testing.T, err error, want int) {
	t.Helper()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != want {
		t.Errorf("error %v, want exit code %d", err, want)
	}
}

func TestProcessEnds(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]int{"exit 0": 0, "exit 3": 3, "kill -KILL $$": -1} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			p, _ := start(t, script)
			<-p.Done()
			if err := p.Wait(); want != 0 {
				wantCode(t, err, want)
			} else if err != nil {
				t.Errorf("error %v, want none", err)
			}
		})
	}
}

func TestCommandIsMissing(t *testing.T) {
	t.Parallel()
	if _, err := run.Start(exec.Command("/missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want that the file does not exist", err)
	}
	if err := command("", "/missing").Run(); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "/missing: ") {
		t.Errorf("error %v, want that /missing does not exist", err)
	}
}

func TestGroupIsItsOwn(t *testing.T) {
	t.Parallel()
	_, out := start(t, `echo $$; sleep 60 & wait`)
	pid, err := strconv.Atoi(out.line(t))
	if err != nil {
		t.Fatal(err)
	}
	if group, err := syscall.Getpgid(pid); group != pid {
		t.Errorf("process %d is in group %d, error %v, want one of its own", pid, group, err)
	}
}

func TestSignalReachesAll(t *testing.T) {
	t.Parallel()
	p, out := start(t, `
		trap "wait; exit 4" USR1
		sh -c 'trap "echo got it; exit" USR1; sh -c "echo ready; exec sleep 60" & wait' &
		wait`)
	out.line(t)
	p.Signal(syscall.SIGUSR1)
	if got := out.line(t); got != "got it" {
		t.Errorf("output %q, want got it", got)
	}
	wantCode(t, p.Wait(), 4)
	out.wantEnd(t) // the signal has ended sleep
}

func TestStop(t *testing.T) {
	t.Parallel()
	t.Run("by itself", func(t *testing.T) {
		t.Parallel()
		p, out := start(t, `trap "echo bye; exit 5" TERM; echo ready; sleep 60 & wait`)
		out.line(t)
		p.Stop(patience)
		if got := out.line(t); got != "bye" {
			t.Errorf("output %q, want bye", got)
		}
		wantCode(t, p.Wait(), 5)
		out.wantEnd(t)
	})
	t.Run("by force", func(t *testing.T) {
		t.Parallel()
		p, out := start(t, `trap "" TERM; echo ready; sleep 60 & wait`)
		out.line(t)
		p.Stop(time.Millisecond)
		wantCode(t, p.Wait(), -1)
		out.wantEnd(t)
	})
	t.Run("those it leaves behind", func(t *testing.T) {
		t.Parallel()
		p, out := start(t, `(trap "" TERM; echo ready; sleep 60 & wait) & wait`)
		out.line(t)
		p.Stop(patience)
		out.wantEnd(t)
	})
	t.Run("again", func(t *testing.T) {
		t.Parallel()
		p, _ := start(t, `exit 0`)
		<-p.Done()
		p.Stop(patience)
		p.Stop(patience)
	})
}

// command returns one whose output nobody reads.
func command(stdin string, args ...string) run.Command {
	return run.Command{Args: args, Timeout: patience, Stdin: []byte(stdin), Output: io.Discard}
}

func TestCommand(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	c := command("from stdin\n", run.Shell("cat; echo to stderr >&2; exit $CODE")...)
	c.Output = &out
	if err := c.Run(); err != nil {
		t.Errorf("error %v, want none", err)
	}
	if want := "from stdin\nto stderr\n"; out.String() != want {
		t.Errorf("output %q, want %q", out.String(), want)
	}
	err := command("", run.Shell("exit 7")...).Run()
	wantCode(t, err, 7)
	if want := "exit 7: exit status 7"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if err := command("", "/bin/sh", "-c", "exit 7", "name").Run(); err == nil || err.Error() != "/bin/sh -c exit 7 name: exit status 7" {
		t.Errorf("error %v, want it to name all arguments", err)
	}
}

// More than fits into a pipe.
func TestCommandDoesNotRead(t *testing.T) {
	t.Parallel()
	if err := command(strings.Repeat("x", 1<<20), "true").Run(); err != nil {
		t.Errorf("error %v, want none", err)
	}
	// The process that is left has the pipe open.
	var out strings.Builder
	c := command(strings.Repeat("x", 1<<20), run.Shell("exec 3<&0; sleep 60 <&3 & echo $!")...)
	c.Output = &out
	if err := c.Run(); err != nil {
		t.Errorf("error %v, want none", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(out.String()))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("kill the process that is left: %v", err)
	}
}

func TestCommandTakesTooLong(t *testing.T) {
	t.Parallel()
	out := newOutput(t)
	c := command("", run.Shell("sleep 60 & sleep 60")...)
	c.Timeout, c.Output = 100*time.Millisecond, out.write
	err := c.Run()
	_ = out.write.Close()
	if want := "sleep 60 & sleep 60: ended because it took longer than 100ms"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	out.wantEnd(t)
}
