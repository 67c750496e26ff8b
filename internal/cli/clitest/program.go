// Package clitest tests programs as the processes that they are. The test
// binary is the program, so that all processes run under the race detector when
// the test does. The tests of a program begin with
//
//	func TestMain(m *testing.M) { clitest.Main(m, main) }
package clitest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// Patience is how long a test waits for something that must happen.
const Patience = testmain.Patience

// asProgram is asTest in the processes that Start starts, and asChild in those
// that such a process starts in turn.
const (
	asProgram = "GOPHERDISCOVERY_TEST_PROGRAM"
	asTest    = "program"
	asChild   = "child"
)

// AsProgram is a variable of the environment in which the test binary is the
// program, even if another process starts it.
const AsProgram = asProgram + "=" + asChild

var stackTrace = regexp.MustCompile(`(?m)^goroutine \d|DATA RACE`)

// waiters is how many tests run at a time. They mostly wait for programs.
const waiters = 4

// Main runs the tests; in a process that Start has started it runs the program
// instead.
func Main(m *testing.M, program func()) {
	switch os.Getenv(asProgram) {
	case "":
		testmain.SetParallel(waiters)
		os.Exit(testmain.Run(m, "dahernan/gopherdiscovery", "go.nanomsg.org/mangos/"))
	case asTest:
		if err := os.Setenv(asProgram, asChild); err != nil {
			panic(err)
		}
		// The test never writes to this pipe. Its end says that the
		// test is gone, however it went.
		go func() {
			_, _ = os.Stdin.Read(make([]byte, 1))
			os.Exit(3)
		}()
	}
	program()
	os.Exit(0)
}

// Program is a run of the program.
type Program struct {
	Stdout, Stderr *Stream

	t     *testing.T
	cmd   *exec.Cmd
	temp  string        // its directory for temporary files
	ended chan struct{} // closed when err says how it has ended
	err   error
}

// Start starts the program, which ends with the test at the latest. Arguments
// of the form NAME=value that come before all others are set in its
// environment.
func Start(t *testing.T, args ...string) *Program {
	t.Helper()
	stderr := newStream(t)
	stderr.begin()
	return start(t, stderr, args)
}

func start(t *testing.T, stderr pipe, args []string) *Program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*Patience)
	p := &Program{t: t, temp: t.TempDir(), ended: make(chan struct{})}
	// The race detector would make each process pause for a second when it
	// exits.
	env := append(os.Environ(), asProgram+"="+asTest, "TMPDIR="+p.temp, "GORACE=atexit_sleep_ms=10")
	for len(args) > 0 && !strings.HasPrefix(args[0], "-") && strings.Contains(args[0], "=") {
		env, args = append(env, args[0]), args[1:]
	}
	p.cmd = exec.CommandContext(ctx, self, args...)
	p.cmd.Env = env
	if _, err := p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout := newStream(t)
	stdout.begin()
	p.Stdout, p.Stderr = stdout.Stream, stderr.Stream
	p.cmd.Stdout, p.cmd.Stderr = stdout.write, stderr.write
	prepare(p.cmd)
	err = p.cmd.Start()
	_, _ = stdout.write.Close(), stderr.write.Close()
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		cancel() // kills it
		<-p.ended
	})
	return p
}

// Wait returns all of the output and the exit code, which is -1 after a signal.
// It fails the test if anything is left: a process, or a temporary file.
func (p *Program) Wait() (stdout, stderr string, code int) {
	p.t.Helper()
	<-p.ended
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		p.t.Fatal(p.err)
	}
	stdout, stderr = p.Stdout.all(), p.Stderr.all()
	WantEmpty(p.t, p.temp)
	if stackTrace.MatchString(stderr) {
		p.t.Errorf("a stack trace on stderr:\n%s", stderr)
	}
	return stdout, stderr, p.cmd.ProcessState.ExitCode()
}

// WantFailure waits for the end of the program. It wants the exit code, and one
// line on stderr with all of these words.
func (p *Program) WantFailure(code int, words ...string) {
	p.t.Helper()
	stdout, stderr, got := p.Wait()
	if got != code || stdout != "" || strings.Count(stderr, "\n") != 1 {
		p.t.Errorf("exit code %d, stdout %q, stderr %q, want %d, nothing and one line", got, stdout, stderr, code)
	}
	for _, word := range words {
		if !strings.Contains(stderr, word) {
			p.t.Errorf("stderr %q, want it to contain %q", stderr, word)
		}
	}
}

// WantEmpty wants the directory to be empty.
func WantEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left in the directory: %v, error %v, want none", left, err)
	}
}
