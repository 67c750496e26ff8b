//go:build linux

package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

func TestServeNotifiesSystemd(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"-http", "127.0.0.1:0"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "notify")
			manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			defer manager.Close()
			await := func(want string) {
				t.Helper()
				if err := manager.SetReadDeadline(time.Now().Add(clitest.Patience)); err != nil {
					t.Fatal(err)
				}
				buffer := make([]byte, 100)
				n, err := manager.Read(buffer)
				if got := string(buffer[:n]); err != nil || got != want {
					t.Fatalf("told %q, error %v, want %q", got, err, want)
				}
			}
			p, server, pubsub, url := startServe(t, append([]string{"NOTIFY_SOCKET=" + path}, args...)...)
			await("READY=1")
			for _, bound := range []string{server, pubsub} {
				conn, err := net.Dial("tcp", strings.TrimPrefix(bound, "tcp://"))
				if err != nil {
					t.Fatalf("ready, but %v", err)
				}
				_ = conn.Close()
			}
			if args != nil {
				get(t, url+"/healthz")
			}
			p.Signal(syscall.SIGTERM)
			await("STOPPING=1")
			if _, stderr, code := p.Wait(); code != 0 || strings.Contains(stderr, "systemd") {
				t.Errorf("exit code %d, stderr %q, want 0 and no trouble", code, stderr)
			}
		})
	}
}

func TestServeWithoutSystemd(t *testing.T) {
	t.Parallel()
	p, _, _, _ := startServe(t, "NOTIFY_SOCKET="+filepath.Join(t.TempDir(), "missing"))
	p.Stderr.Await(`level=WARN msg="systemd cannot be told" state="?READY=1`)
}

// stopAsSystemd sends what systemd sends to stop a unit: SIGTERM to all of its
// processes, and with KillMode=mixed to the program alone.
func stopAsSystemd(t *testing.T, p *clitest.Program, unit string, others ...int) {
	t.Helper()
	text, err := os.ReadFile("../" + unit)
	if err != nil {
		t.Fatal(err)
	}
	p.Signal(syscall.SIGTERM)
	if strings.Contains(string(text), "\nKillMode=mixed\n") {
		return
	}
	for _, pid := range others {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
}

func awaitPID(t *testing.T, s *clitest.Stream) int {
	t.Helper()
	pid, err := strconv.Atoi(s.Await(`^(\d+)\n`)[1])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestAnnounceStoppedBySystemd(t *testing.T) {
	t.Parallel()
	server, pubsub := startServer(t)
	p := startAnnounce(t, server, `trap 'exit 3' TERM; trap 'echo USR1' USR1; echo $$; while :; do sleep 0.01; done`, "-grace", "1h")
	program := awaitPID(t, p.Stdout)
	clitest.AwaitList(t, clitest.Quiet, pubsub, announced)
	stopAsSystemd(t, p, "gopherdiscovery-announce.service", program)
	clitest.AwaitList(t, clitest.Quiet, pubsub)
	for range 2 { // SIGTERM would have ended the program before the second
		p.Signal(syscall.SIGUSR1)
		p.Stdout.Await(`\AUSR1\n`)
	}
	p.Signal(syscall.SIGTERM) // cuts the grace short
	if _, stderr, code := p.Wait(); code != 3 {
		t.Errorf("exit code %d, stderr %q, want 3", code, stderr)
	}
}

func TestWatchStoppedBySystemd(t *testing.T) {
	t.Parallel()
	_, pubsub := startServer(t, "http://10.0.0.2:80")
	spec, file := templateOf(t, addresses)
	p := startCommand(t, "watch", "-pubsub", pubsub, "-template", spec, "-check", "echo $$; while ! test -e "+file+".go; do sleep 0.01; done", "-exec", "echo reloaded")
	stopAsSystemd(t, p, "gopherdiscovery-watch.service", awaitPID(t, p.Stderr))
	if err := os.WriteFile(file+".go", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := p.Wait(); code != 0 || !strings.Contains(stderr, "reloaded\n") {
		t.Errorf("exit code %d, stderr %q, want 0 and that the file was checked and reloaded", code, stderr)
	}
	wantFile(t, file, "10.0.0.2:80\n")
}

func TestUnitFiles(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("needs systemd-analyze, which is in Debian's package systemd")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for file, command := range map[string]string{
		"gopherdiscovery.service": "serve", "gopherdiscovery-announce.service": "announce", "gopherdiscovery-watch.service": "watch",
	} {
		unit, err := os.ReadFile("../" + file)
		if err != nil {
			t.Fatal(err)
		}
		const start = "\nExecStart="
		installed := start + "/usr/local/bin/gopherdiscovery " + command
		if !strings.Contains(string(unit), installed) {
			t.Fatalf("%s: no line %s in\n%s", file, installed, unit)
		}
		// systemd-analyze looks for the program.
		text := strings.Replace(string(unit), installed, start+program+" "+command, 1)
		path := filepath.Join(t.TempDir(), file)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(analyze, "verify", "--man=no", path).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: systemd-analyze verify: error %v\n%s", file, err, out)
		}
	}
}
