package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen. It is only ever used up by a test that fails.
const patience = 30 * time.Second

// asProgram makes the test binary the program, so that all its processes run under the race detector when the test does.
const asProgram = "GOPHERDISCOVERY_CLUSTER_TEST"

var stackTrace = regexp.MustCompile(`(?m)^goroutine \d|DATA RACE`)

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	main()
	os.Exit(0)
}

// prepare is set where there are signals.
var prepare func(*exec.Cmd)

// program is a run of the program.
type program struct {
	t      *testing.T
	cmd    *exec.Cmd
	temp   string // its directory for temporary files
	stdout *bufio.Reader
	stderr chan string // gets all of it when nobody has it open any more: neither the program nor a child
}

func start(t *testing.T, args ...string) *program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	p := &program{t: t, cmd: exec.CommandContext(ctx, self, args...), temp: t.TempDir(), stderr: make(chan string, 1)}
	// The race detector would make each process pause for a second when it exits.
	p.cmd.Env = append(os.Environ(), asProgram+"=1", "TMPDIR="+p.temp, "GORACE=atexit_sleep_ms=10")
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdout = bufio.NewReader(stdout)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = write
	if prepare != nil {
		prepare(p.cmd)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	go func() {
		defer read.Close()
		all, _ := io.ReadAll(read)
		p.stderr <- string(all)
	}()
	return p
}

// readUntil reads the output up to the line that has want in it.
func (p *program) readUntil(want string) {
	p.t.Helper()
	var seen strings.Builder
	for {
		line, err := p.stdout.ReadString('\n')
		seen.WriteString(line)
		if strings.Contains(line, want) {
			return
		}
		if err != nil {
			p.t.Fatalf("the output ended without %q: %v\n%s", want, err, seen.String())
		}
	}
}

// wait returns the rest of the output and the exit code, which is -1 after a signal. It fails the test if anything is left.
func (p *program) wait() (stdout, stderr string, code int) {
	p.t.Helper()
	out, err := io.ReadAll(p.stdout)
	if err != nil {
		p.t.Errorf("reading the output: %v", err)
	}
	var exit *exec.ExitError
	if err := p.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	select {
	case stderr = <-p.stderr:
	case <-time.After(patience):
		p.t.Fatalf("a child is still running %v after the program has ended", patience)
	}
	wantEmpty(p.t, p.temp)
	if stackTrace.MatchString(stderr) {
		p.t.Errorf("a stack trace on stderr:\n%s", stderr)
	}
	return string(out), stderr, p.cmd.ProcessState.ExitCode()
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left in the directory: %v, error %v, want none", left, err)
	}
}

func TestScene(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := start(t).wait()
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d, stderr %q, want 0 and nothing", code, stderr)
	}
	wantLines(t, stdout,
		`A server surveys on tcp://127\.0\.0\.1:[1-9]\d* and publishes on tcp://127\.0\.0\.1:[1-9]\d*\.`,
		`3 peers join\..*`,
		` *\d+\.\d ms  \+ (peer-\d ?)+  \[peer-1 peer-2 peer-3\]`,
		` *\d+\.\d ms  all 3 peers have this list`,
		`peer-4 joins:.*`,
		` *\d+\.\d ms  \+ peer-4  \[peer-1 peer-2 peer-3 peer-4\]`,
		` *\d+\.\d ms  all 4 peers have this list`,
		`peer-2 is killed.*`,
		` *\d+\.\d ms  - peer-2  \[peer-1 peer-3 peer-4\]`,
		` *\d+\.\d ms  all 3 peers have this list`,
		`peer-3 leaves:.*`,
		` *\d+\.\d ms  - peer-3  \[peer-1 peer-4\]`,
		` *\d+\.\d ms  all 2 peers have this list`,
		`.* no process is left\.`,
	)
}

// wantLines wants lines that match, in this order. On a busy machine there may be others in between.
func wantLines(t *testing.T, output string, want ...string) {
	t.Helper()
	for line := range strings.Lines(output) {
		if len(want) > 0 && regexp.MustCompile("^"+want[0]+"\n$").MatchString(line) {
			want = want[1:]
		}
	}
	if len(want) > 0 {
		t.Errorf("no line matches %q where it should in\n%s", want[0], output)
	}
}

func TestFewestPeers(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := start(t, "-peers", "2").wait()
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d, stderr %q, want 0 and nothing", code, stderr)
	}
	wantLines(t, stdout, `.*  all 2 peers .*`, `.*  all 3 peers .*`, `.*  - peer-2  .*`, `.*  - peer-3  \[peer-1\]`)
}

func TestManyPeers(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := start(t, "-peers", "12").wait()
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d, stderr %q, want 0 and nothing", code, stderr)
	}
	wantLines(t, stdout, `.*  \[12 peers\]`, `.*  \+ peer-13  \[13 peers\]`, `.*  - peer-2  \[12 peers\]`, `.*  - peer-3  \[11 peers\]`)
}

func TestGivenURLs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	survey, pubsub := "ipc://"+filepath.Join(dir, "s"), "ipc://"+filepath.Join(dir, "p")
	stdout, stderr, code := start(t, "-server", survey, "-pubsub", pubsub).wait()
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d, stderr %q, want 0 and nothing", code, stderr)
	}
	wantLines(t, stdout, regexp.QuoteMeta("A server surveys on "+survey+" and publishes on "+pubsub+"."))
	wantEmpty(t, dir)
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		want string // in the first line on stderr
	}{
		{[]string{"-peers", "1"}, "-peers 1 "},
		{[]string{"-peers", "101"}, "-peers 101 "},
		{[]string{"-peers", "many"}, "-peers"},
		{[]string{"-timeout", "0s"}, "-timeout 0s "},
		{[]string{"-nonsense"}, "-nonsense"},
		{[]string{"word"}, `"word"`},
		{[]string{"-server", "nonsense"}, `"nonsense"`},
		{[]string{"-pubsub", "tcp://127.0.0.1:65536"}, "65536"},
		{[]string{"-server", "inproc://a"}, "inproc"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := start(t, test.args...).wait()
			first, _, _ := strings.Cut(stderr, "\n")
			if code != 2 || stdout != "" || !strings.Contains(first, test.want) {
				t.Errorf("exit code %d, stdout %q, stderr %q, want 2, nothing and %q", code, stdout, stderr, test.want)
			}
		})
	}
}

func TestTakenPort(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, flag := range []string{"-server", "-pubsub"} {
		url := "tcp://" + taken.Addr().String()
		_, stderr, code := start(t, flag, url).wait()
		if code != 1 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, url) {
			t.Errorf("%s: exit code %d, stderr %q, want 1 and a line with %s", flag, code, stderr, url)
		}
	}
}

// Before its first PollTime is over a server publishes nothing.
func TestNotSeenInTime(t *testing.T) {
	t.Parallel()
	_, stderr, code := start(t, "-timeout", (pollTime / 2).String()).wait()
	if code != 1 || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "cluster: gave up after 250ms: ") {
		t.Errorf("exit code %d, stderr %q, want 1 and a line that says so", code, stderr)
	}
}
