//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package gopherdiscovery

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A file system without locks is no reason not to start.
func TestFileSystemWithoutLocks(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOSYS, syscall.EOPNOTSUPP, syscall.ENOLCK} {
		t.Run(errno.Error(), func(t *testing.T) {
			systemFlock = func(int, int) error { return errno }
			defer func() { systemFlock = syscall.Flock }()
			dir := t.TempDir()
			lines := openGate()
			server, err := Server("ipc://"+dir+"/survey", "tcp://127.0.0.1:0", Options{Logger: slog.New(lines)})
			if err != nil {
				t.Fatal(err)
			}
			server.Close()
			if got := strings.Join(lines.take(), "\n"); strings.Count(got, errno.Error()) != 1 || !strings.Contains(got, "survey") {
				t.Errorf("logged:\n%s\nwant a line with the path and %q", got, errno)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
				t.Errorf("after Close: got %v, %v, want no files", left, err)
			}
		})
	}
}

// A server whose files something else has removed leaves those of its successor
// alone.
func TestCloseLeavesTheLockOfASuccessor(t *testing.T) {
	dir := t.TempDir()
	url := "ipc://" + dir + "/survey"
	start := func() (*DiscoveryServer, error) {
		return Server(url, "tcp://127.0.0.1:0", Options{Logger: quietSettings.log.logger})
	}
	first, err := start()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	for _, name := range []string{"survey", "survey.lock"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	second, err := start()
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	first.Close()
	if _, err := os.Lstat(filepath.Join(dir, "survey.lock")); err != nil {
		t.Errorf("the lock of the second server is gone: %v", err)
	}
	if third, err := start(); !errors.Is(err, syscall.EADDRINUSE) {
		third.Close()
		t.Errorf("a third server: got error %v, want address in use", err)
	}
}

// Root can take over the lock that another user's process has left behind in a
// directory like /tmp.
func TestLockOfAnotherUser(t *testing.T) {
	setting, err := os.ReadFile("/proc/sys/fs/protected_regular")
	if err != nil || strings.TrimSpace(string(setting)) == "0" || os.Geteuid() != 0 {
		t.Skip("needs root, and a Linux with fs.protected_regular")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "survey.lock")
	if err := errors.Join(os.Chmod(dir, 0o777|os.ModeSticky), os.WriteFile(path, nil, 0o600), os.Chown(path, 12345, 12345)); err != nil {
		t.Fatal(err)
	}
	unlock, err := lockFile(path)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
