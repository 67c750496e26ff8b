//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package sp

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/logtest"
)

// A file system without locks is no reason not to start.
func TestFileSystemWithoutLocks(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOSYS, syscall.EOPNOTSUPP, syscall.ENOLCK} {
		t.Run(errno.Error(), func(t *testing.T) {
			systemFlock = func(int, int) error { return errno }
			defer func() { systemFlock = syscall.Flock }()
			dir := t.TempDir()
			lines := logtest.OpenGate()
			log := NewLog(slog.New(lines))
			s := NewSocket(Surveyor, Settings{Log: log, Handshakes: new(Handshakes)}, new(listening).open)
			if _, err := s.Listen(Address{"ipc", dir + "/survey"}); err != nil {
				t.Fatal(err)
			}
			s.End()
			log.Close()
			if got := strings.Join(lines.Take(), "\n"); strings.Count(got, errno.Error()) != 1 || !strings.Contains(got, "survey") {
				t.Errorf("logged:\n%s\nwant a line with the path and %q", got, errno)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
				t.Errorf("after Close: got %v, %v, want no files", left, err)
			}
		})
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
