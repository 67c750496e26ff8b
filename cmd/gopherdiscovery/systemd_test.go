//go:build linux

package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
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

func TestUnitFile(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("needs systemd-analyze, which is in Debian's package systemd")
	}
	unit, err := os.ReadFile("../gopherdiscovery.service")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const installed = "ExecStart=/usr/local/bin/gopherdiscovery serve"
	if !strings.Contains(string(unit), "\n"+installed+"\n") {
		t.Fatalf("no line %s in\n%s", installed, unit)
	}
	// systemd-analyze looks for the program.
	text := strings.Replace(string(unit), installed, "ExecStart="+program+" serve", 1)
	path := filepath.Join(t.TempDir(), "gopherdiscovery.service")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", "--man=no", path).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: error %v\n%s", err, out)
	}
}
