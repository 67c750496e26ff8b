//go:build unix

package announce_test

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/cmd/gopherdiscovery/internal/announce"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// Under nohup or behind a shell's & these signals are ignored, here and in the
// commands that the tests start. A signal that is waited for is not.
func init() {
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
}

// story is what happens, in its order: "join", "leave", and what the command
// writes to the file that is its first argument.
type story struct {
	t       *testing.T
	events  chan string
	signals chan os.Signal
	code    chan int
}

// member is on the list of a story from join to leave.
type member struct{ *story }

func (m member) IsAnnounced() bool { return true }

func (m member) Leave() { m.events <- "leave" }

// tell runs a script of the shell, which tells with: say WORD.
func tell(t *testing.T, p announce.Program, script string) *story {
	t.Helper()
	s := &story{t: t, events: make(chan string, 100), signals: make(chan os.Signal), code: make(chan int, 1)}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	said, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for lines := bufio.NewScanner(said); lines.Scan(); {
			s.events <- lines.Text()
		}
	}()
	p.Args = []string{"/bin/sh", "-c", "exec 2>/dev/null; say() { echo $1 >" + fifo + "; }; " + script}
	if p.Join == nil {
		p.Join = func() (announce.Member, error) {
			s.events <- "join"
			return member{s}, nil
		}
	}
	if p.Logger == nil {
		p.Logger = slog.New(slog.DiscardHandler)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		code, _ := p.Run(s.signals)
		s.code <- code
	}()
	t.Cleanup(func() {
		select {
		case <-ended:
		case s.signals <- syscall.SIGKILL: // of a test that has failed
			<-ended
		}
		_ = said.Close()
	})
	return s
}

func (s *story) want(events ...string) {
	s.t.Helper()
	for _, want := range events {
		select {
		case got := <-s.events:
			if got != want {
				s.t.Fatalf("what happens is %q, want %q", got, want)
			}
		case <-time.After(patience):
			s.t.Fatalf("nothing happens for %v, want %q", patience, want)
		}
	}
}

func (s *story) wantCode(want int) {
	s.t.Helper()
	select {
	case code := <-s.code:
		if code != want {
			s.t.Errorf("exit code %d, want %d", code, want)
		}
	case <-time.After(patience):
		s.t.Fatalf("the command has not ended after %v", patience)
	}
}

// loop is a command that says what signals it gets, until the one that ends it.
const loop = `
	trap 'say INT' INT; trap 'say HUP' HUP; trap 'say USR1' USR1
	trap 'say QUIT; exit 3' QUIT; trap 'say TERM; exit 3' TERM
	say ready; while :; do sleep 0.01; done`

func TestCommandEndsByItself(t *testing.T) {
	t.Parallel()
	for script, code := range map[string]int{
		"exit 0":         0,
		"exit 3":         3,
		"kill -TERM $$":  128 + 15,
		"kill -KILL $$":  128 + 9,
		"say hello; :":   0,
		"exec /missing":  127,
		"exec /dev/null": 126,
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			p := announce.Program{Grace: time.Hour}
			s := tell(t, p, script)
			s.wantCode(code)
			var events []string
			for len(s.events) > 0 {
				events = append(events, <-s.events)
			}
			// It may end before it is put on the list.
			if slices.Contains(events, "join") != slices.Contains(events, "leave") {
				t.Errorf("what happens is %q, but the command has left as often as it has joined", events)
			}
		})
	}
}

func TestLeaveBeforeTheSignal(t *testing.T) {
	t.Parallel()
	for sig, name := range map[syscall.Signal]string{syscall.SIGTERM: "TERM", syscall.SIGQUIT: "QUIT"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const grace = 3 * time.Second // more than a busy machine needs for a signal
			s := tell(t, announce.Program{Grace: grace, KillAfter: time.Hour}, loop)
			wantBoth(s, "join", "ready")
			s.signals <- sig
			s.want("leave")
			left := time.Now()
			s.signals <- syscall.SIGHUP // not the end of the grace
			s.want("HUP", name)
			if waited := time.Since(left); waited < grace/2 {
				t.Errorf("the signal came %v after the leave, want %v", waited, grace)
			}
			s.wantCode(3)
		})
	}
}

// wantBoth wants two events in any order.
func wantBoth(s *story, a, b string) {
	s.t.Helper()
	if got := <-s.events; got != a {
		a, b = b, a
		if got != a {
			s.t.Fatalf("what happens is %q, want %q or %q", got, a, b)
		}
	}
	s.want(b)
}

func TestOtherSignalsArePassedOn(t *testing.T) {
	t.Parallel()
	s := tell(t, announce.Program{Grace: time.Hour, KillAfter: time.Hour}, loop)
	wantBoth(s, "join", "ready")
	s.signals <- syscall.SIGHUP
	s.want("HUP") // and no leave
	s.signals <- syscall.SIGTERM
	s.want("leave")
	s.signals <- syscall.SIGUSR1
	s.want("USR1") // the grace goes on
	s.signals <- syscall.SIGINT
	s.want("INT") // that is its end
	s.signals <- syscall.SIGTERM
	s.want("TERM")
	s.wantCode(3)
}

func TestEndsDuringTheGrace(t *testing.T) {
	t.Parallel()
	s := tell(t, announce.Program{Grace: time.Hour, KillAfter: time.Hour}, `
		trap 'exit 4' USR1; say ready; while :; do sleep 0.01; done`)
	wantBoth(s, "join", "ready")
	s.signals <- syscall.SIGTERM
	s.want("leave")
	s.signals <- syscall.SIGUSR1
	s.wantCode(4)
}

func TestKilledWhenItDoesNotEnd(t *testing.T) {
	t.Parallel()
	s := tell(t, announce.Program{KillAfter: 100 * time.Millisecond}, `
		trap '' TERM; say ready; while :; do sleep 0.01; done`)
	wantBoth(s, "join", "ready")
	s.signals <- syscall.SIGTERM
	s.want("leave")
	s.wantCode(128 + 9)
}

func TestCommandCannotRun(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	for command, want := range map[string]int{
		"/missing":                     127,
		"no-such-command-in-the-path":  127,
		directory:                      126,
		filepath.Join(directory, "no"): 127,
	} {
		p := announce.Program{Args: []string{command}, Logger: slog.New(slog.DiscardHandler)}
		if code, err := p.Run(nil); code != want || err == nil {
			t.Errorf("%s: exit code %d, error %v, want %d and one", command, code, err, want)
		}
	}
}

// slowMember is announced when it is asked for the third time.
type slowMember struct{ asked atomic.Int32 }

func (m *slowMember) IsAnnounced() bool { return m.asked.Add(1) >= 3 }

func (m *slowMember) Leave() {}

// lineWriter passes on what is logged.
type lineWriter chan string

func (w lineWriter) Write(line []byte) (int, error) {
	w <- string(line)
	return len(line), nil
}

// The command is announced when a server knows its name.
func TestAnnouncedIsLogged(t *testing.T) {
	t.Parallel()
	m, lines := new(slowMember), make(lineWriter, 10)
	s := tell(t, announce.Program{
		Join:      func() (announce.Member, error) { return m, nil },
		KillAfter: time.Hour,
		Logger:    slog.New(slog.NewTextHandler(lines, nil)),
	}, loop)
	s.want("ready")
	if line := <-lines; !strings.Contains(line, "msg=announced") || m.asked.Load() != 3 {
		t.Errorf("logged %q after asking %d times, want that it is announced after 3", line, m.asked.Load())
	}
	s.signals <- syscall.SIGTERM
	if line := <-lines; !strings.Contains(line, "not announced any more") {
		t.Errorf("logged %q, want that it is not announced any more", line)
	}
	s.want("TERM")
	s.wantCode(3)
}

// A command that no server has heard of does not leave the list.
func TestNeverAnnouncedIsLogged(t *testing.T) {
	t.Parallel()
	m, lines := new(slowMember), make(lineWriter, 10)
	m.asked.Store(math.MinInt32)
	joined := make(chan struct{})
	s := tell(t, announce.Program{
		Join: func() (announce.Member, error) {
			close(joined)
			return m, nil
		},
		KillAfter: time.Hour,
		Logger:    slog.New(slog.NewTextHandler(lines, nil)),
	}, loop)
	s.want("ready")
	<-joined // which may be later
	s.signals <- syscall.SIGTERM
	if line := <-lines; !strings.Contains(line, `msg="not announced" reason="signal: terminated"`) {
		t.Errorf("logged %q, want that it is not announced", line)
	}
	s.want("TERM")
	s.wantCode(3)
}

func TestJoinFails(t *testing.T) {
	t.Parallel()
	failed := errors.New("failed")
	p := announce.Program{
		Args:      []string{"sleep", "1000"},
		Join:      func() (announce.Member, error) { return nil, failed },
		KillAfter: time.Hour,
		Logger:    slog.New(slog.DiscardHandler),
	}
	if code, err := p.Run(nil); code != 128+15 || !errors.Is(err, failed) {
		t.Errorf("exit code %d, error %v, want 143 and %v", code, err, failed)
	}
}

// Nobody sends requests to a command that was never on the list.
func TestNoGraceWhenNotHealthy(t *testing.T) {
	t.Parallel()
	check := &announce.Check{Target: "http://127.0.0.1:1", Interval: 10 * time.Millisecond, Rise: 1, Fall: 1}
	s := tell(t, announce.Program{Check: check, Grace: time.Hour, KillAfter: time.Hour}, loop)
	s.want("ready")
	s.signals <- syscall.SIGTERM
	s.want("TERM")
	s.wantCode(3)
}

func TestCheckOfACommand(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	check := &announce.Check{Target: "exec:test ! -e " + file, Interval: 500 * time.Millisecond, Rise: 1, Fall: 2}
	s := tell(t, announce.Program{Check: check, KillAfter: time.Hour}, loop)
	wantBoth(s, "join", "ready")
	put(t, file)
	s.want("leave")
	remove(t, file)
	s.want("join")
	s.signals <- syscall.SIGTERM
	s.want("leave", "TERM")
	s.wantCode(3)
}

// A command that hangs fails when its time is over, and is killed with all that
// it has started. It does not hold up the end.
func TestCheckOfACommandThatHangs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, pids := filepath.Join(dir, "file"), filepath.Join(dir, "pids")
	check := &announce.Check{
		Target:   "exec:if test -e " + file + "; then echo $$ >>" + pids + "; trap '' TERM; sleep 1000 & wait; fi",
		Interval: 500 * time.Millisecond, Rise: 1, Fall: 2,
	}
	s := tell(t, announce.Program{Check: check, KillAfter: time.Hour}, loop)
	wantBoth(s, "join", "ready")
	put(t, file)
	s.want("leave")
	s.signals <- syscall.SIGTERM
	s.want("TERM")
	s.wantCode(3)
	text, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		awaitGone(t, pid)
	}

	check.Interval = time.Hour
	s = tell(t, announce.Program{Check: check, KillAfter: time.Hour}, loop)
	s.want("ready")
	s.signals <- syscall.SIGTERM
	s.want("TERM")
	s.wantCode(3)
}

func put(t *testing.T, file string) {
	t.Helper()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

// A drained command runs, and gets its signals.
func TestDrain(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "drain")
	put(t, file)
	lines := make(lineWriter, 100)
	s := tell(t, announce.Program{
		DrainFile: file, DrainSignal: syscall.SIGUSR1, Grace: time.Hour, KillAfter: time.Hour,
		Logger: slog.New(slog.NewTextHandler(lines, nil)),
	}, loop)
	s.want("ready")
	if line := <-lines; !strings.Contains(line, "not announced") || !strings.Contains(line, file+" exists") {
		t.Errorf("logged %q, want that the file exists", line)
	}
	remove(t, file)
	s.want("join")
	s.signals <- syscall.SIGUSR1 // and the command says nothing of it
	s.want("leave")
	s.signals <- syscall.SIGHUP
	s.want("HUP")
	put(t, file)
	s.signals <- syscall.SIGHUP
	s.want("HUP")
	for line := ""; !strings.Contains(line, file+" exists"); line = <-lines {
	}
	s.signals <- syscall.SIGUSR1 // the file is still there
	s.signals <- syscall.SIGHUP
	s.want("HUP")
	remove(t, file)
	s.want("join")
	put(t, file)
	s.want("leave")
	s.signals <- syscall.SIGQUIT // others may not have noticed the leave
	s.signals <- syscall.SIGUSR1 // means nothing any more
	s.signals <- syscall.SIGHUP
	s.want("HUP")
	s.signals <- syscall.SIGINT // cuts the grace short, in place of the first
	s.want("INT")
	s.signals <- syscall.SIGUSR1
	s.signals <- syscall.SIGHUP
	s.want("HUP")
	s.signals <- syscall.SIGTERM
	s.want("TERM")
	s.wantCode(3)
}

func TestNotify(t *testing.T) {
	signals, stop := announce.Notify()
	defer stop()
	for _, sig := range []syscall.Signal{
		syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2,
		syscall.SIGALRM, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGTSTP, syscall.SIGCONT, syscall.SIGWINCH,
	} {
		for _, noise := range []syscall.Signal{syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPIPE, sig} {
			if err := syscall.Kill(os.Getpid(), noise); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case got := <-signals:
			if got != sig {
				t.Errorf("got %v, want %v", got, sig)
			}
		case <-time.After(patience):
			t.Fatalf("no signal after %v, want %v", patience, sig)
		}
	}
}

func TestParseSignal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]os.Signal{
		"USR1": syscall.SIGUSR1, "SIGWINCH": syscall.SIGWINCH, "usr2": syscall.SIGUSR2, "37": syscall.Signal(37),
		"": nil, "SIG": nil, "0": nil, "65": nil, "-1": nil, "nonsense": nil,
		// These come to nothing.
		"KILL": nil, "STOP": nil, "CHLD": nil, "URG": nil, "PIPE": nil, "PROF": nil, "33": nil,
	} {
		if got, err := announce.ParseSignal(text); got != want || (err == nil) != (want != nil) {
			t.Errorf("ParseSignal(%q) = %v, error %v, want %v", text, got, err, want)
		}
	}
}

func TestIgnoredSignal(t *testing.T) {
	signal.Ignore(syscall.SIGHUP)
	defer signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	if got, err := announce.ParseSignal("HUP"); err == nil {
		t.Errorf("ParseSignal(HUP) = %v, want an error while it is ignored", got)
	}
}

func TestEndSignal(t *testing.T) {
	t.Parallel()
	s := tell(t, announce.Program{EndSignal: syscall.SIGUSR1, Grace: time.Millisecond, KillAfter: time.Hour}, `
		trap 'say USR1; exit 6' USR1; say ready; while :; do sleep 0.01; done`)
	wantBoth(s, "join", "ready")
	s.signals <- syscall.SIGUSR1
	s.want("leave", "USR1")
	s.wantCode(6)
}

// The command has ended, and something that it has started has not.
func TestRestOfTheGroup(t *testing.T) {
	t.Parallel()
	t.Run("ends", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "go")
		s := tell(t, announce.Program{KillAfter: time.Hour}, `
			trap 'say TERM; exit 7' TERM; (trap '' TERM; say ready; while ! test -e `+file+`; do sleep 0.01; done; say done) & wait`)
		wantBoth(s, "join", "ready")
		s.signals <- syscall.SIGTERM
		s.want("leave", "TERM")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s.want("done")
		s.wantCode(7)
	})
	t.Run("is killed", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "pid")
		s := tell(t, announce.Program{KillAfter: 100 * time.Millisecond}, `
			trap 'exit 7' TERM; (trap '' TERM; while :; do sleep 0.01; done) & echo $! >`+file+`; say ready; wait`)
		wantBoth(s, "join", "ready")
		s.signals <- syscall.SIGTERM
		s.want("leave")
		s.wantCode(7)
		text, _ := os.ReadFile(file)
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		awaitGone(t, pid)
	})
}

// awaitGone returns when a process has ended. It may stay as a zombie, which
// whoever is process 1 takes in.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	testmain.Await(t, fmt.Sprintf("process %d has ended", pid), func() bool {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(state), ") Z ")
	})
}

// systemd says for which process the sockets are, and which one is to give
// signs of life.
func TestVariablesOfSystemd(t *testing.T) {
	self := strconv.Itoa(os.Getpid())
	for name, test := range map[string]struct{ sockets, watchdog, want string }{
		"sockets for us":  {self, "", "itself"},
		"watchdog for us": {"1", self, "1 itself 1"},
		"both for us":     {self, self, "itself itself"},
		"for others":      {"1", "1", "1 1 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("LISTEN_PID", test.sockets)
			t.Setenv("LISTEN_PIDFDID", "1")
			t.Setenv("WATCHDOG_PID", test.watchdog)
			s := tell(t, announce.Program{KillAfter: time.Hour}, `
				if test "$LISTEN_PID" = $$; then LISTEN_PID=itself; fi
				if test "$WATCHDOG_PID" = $$; then WATCHDOG_PID=itself; fi
				trap 'exit 3' TERM; say "$LISTEN_PID $WATCHDOG_PID $LISTEN_PIDFDID"; while :; do sleep 0.01; done`)
			wantBoth(s, "join", test.want)
			s.signals <- syscall.SIGTERM
			s.want("leave")
			s.wantCode(3)
		})
	}
}
