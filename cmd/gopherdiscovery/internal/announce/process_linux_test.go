package announce_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/dahernan/gopherdiscovery/cmd/gopherdiscovery/internal/announce"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// asProgram makes a process of the test binary run its arguments as a Program.
const asProgram = "ANNOUNCE_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		testmain.Main(m)
	}
	time.AfterFunc(2*patience, func() { os.Exit(1) }) // of a test that has failed
	signals, _ := announce.Notify()
	p := announce.Program{
		Args:      os.Args[1:],
		Join:      func() (announce.Member, error) { return new(slowMember), nil },
		KillAfter: patience,
		Logger:    slog.New(slog.DiscardHandler),
	}
	code, _ := p.Run(signals)
	os.Exit(code)
}

// program returns such a process.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "PROGRAM="+self, "GORACE=atexit_sleep_ms=10")
	return cmd
}

// screen is the other side of a terminal.
type screen struct {
	file *os.File
	t    *testing.T

	mu   sync.Mutex // guards text
	text bytes.Buffer
}

// openScreen starts a command as the first of a session with a terminal.
func openScreen(t *testing.T, cmd *exec.Cmd) *screen {
	t.Helper()
	file, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{file: file, t: t}
	go func() { _, _ = io.Copy(s, file) }() // ends with an error when all have ended
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		_ = file.Close()
	})
	return s
}

func (s *screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(text)
}

// enter types text.
func (s *screen) enter(text string) {
	s.t.Helper()
	if _, err := s.file.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
}

// await returns when the text is on the screen, and clears it up to there.
func (s *screen) await(want string) {
	s.t.Helper()
	testmain.Eventually(s.t, patience, func() string {
		s.mu.Lock()
		defer s.mu.Unlock()
		text := s.text.String()
		at := strings.Index(text, want)
		if at < 0 {
			return fmt.Sprintf("on the screen is %q, want %q", text, want)
		}
		s.text.Next(at + len(want))
		return ""
	})
}

// setsTerminal asks for a word without showing it, as for a password.
const setsTerminal = `stty -echo; echo "ready "; read -r word; stty echo; echo "got $word"`

func TestTerminalIsShared(t *testing.T) {
	t.Parallel()
	t.Run("first of a session", func(t *testing.T) {
		t.Parallel()
		s := openScreen(t, program(t, "/bin/sh", "-c", setsTerminal))
		s.await("ready ")
		s.enter("\x1a") // Ctrl-Z: nobody could make it go on
		s.enter("secret\n")
		s.await("got secret")
	})
	t.Run("in a script", func(t *testing.T) {
		t.Parallel()
		cmd := program(t)
		cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", `"$PROGRAM" /bin/sh -c '` + setsTerminal + `'; read -r word; echo "then $word"; read -r word`}
		s := openScreen(t, cmd)
		s.await("ready ")
		s.enter("\x1a") // nobody could make the script go on
		s.enter("secret\n")
		s.await("got secret")
		s.enter("more\n")
		// The script has the terminal again. It waits once more, because Linux
		// discards what is on its way to the screen when a session ends.
		s.await("then more")
	})
	t.Run("in a shell", func(t *testing.T) {
		t.Parallel()
		cmd := program(t)
		cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-i"}
		cmd.Env = append(cmd.Env, "PS1=prompt ", "SCRIPT="+setsTerminal, "JOBS="+filepath.Join(t.TempDir(), "jobs"))
		s := openScreen(t, cmd)
		s.await("prompt ")
		s.enter(`"$PROGRAM" /bin/sh -c "$SCRIPT"` + "\n")
		s.await("ready ")
		s.enter("\x1a") // Ctrl-Z
		s.await("prompt ")
		s.enter("fg\n")
		s.enter("secret\n")
		s.await("got secret")
		s.await("prompt ")
		s.enter(`"$PROGRAM" /bin/sh -c "$SCRIPT" &` + "\n")
		s.await("prompt ")
		s.enter(`until jobs >$JOBS; grep Stopped $JOBS; do sleep 0.01; done; echo $((20+3))` + "\n")
		s.await("23") // the shell has kept the terminal
		s.enter("fg\n")
		s.await("ready ")
		s.enter("secret\n")
		s.await("got secret")
	})
}

// As process 1 of a container we get the children of those who have ended.
func TestOrphansAreTakenIn(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs to be root")
	}
	cmd := program(t, "/bin/sh", "-c", `
		for i in 1 2 3 4 5; do
			orphan=$(sh -c 'sleep 0.1 >/dev/null & echo $!')
			echo $orphan
			while kill -0 $orphan; do sleep 0.01; done
		done 2>/dev/null
		exit 4`)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	out, _ := cmd.Output()
	if code := cmd.ProcessState.ExitCode(); code != 4 || bytes.Count(out, []byte("\n")) != 5 {
		t.Errorf("exit code %d after orphans %q, want 4 after 5 of them", code, out)
	}
}
