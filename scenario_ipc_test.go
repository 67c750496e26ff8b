//go:build unix

package gopherdiscovery_test

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/dahernan/gopherdiscovery"
)

func TestIPC(t *testing.T) {
	dir := t.TempDir()
	server := startServerAt(t, "ipc://"+dir+"/survey", "ipc://"+dir+"/lists", quickOptions)
	_, peers := join(t, server, "client1")
	await(t, peers, "client1")
	server.Close()
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("after Close: got %v, %v, want no files", left, err)
	}
}

// The socket file of a process that has crashed is replaced. A file that is in
// use or is not a socket is left alone.
func TestIPCFilesInTheWay(t *testing.T) {
	dir := t.TempDir()
	stale, live, other := dir+"/stale", dir+"/live", dir+"/other"
	for path, keep := range map[string]bool{stale: false, live: true} {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if !keep {
			l.SetUnlinkOnClose(false)
			l.Close()
		}
	}
	if err := os.WriteFile(other, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	startServerAt(t, "ipc://"+stale, anyPort, quickOptions)
	for _, path := range []string{live, other} {
		if _, err := gopherdiscovery.Server("ipc://"+path, anyPort, quickOptions); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%s: got error %v, want address in use", path, err)
		}
	}
	if got := read(t, other); got != "precious" {
		t.Errorf("the file that is no socket now holds %q", got)
	}
	if c, err := net.Dial("unix", live); err != nil {
		t.Errorf("the socket that is in use does not work any more: %v", err)
	} else {
		c.Close()
	}
}

// abandon leaves a socket file on which no process listens.
func abandon(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

// Of several servers that want the file of a dead process, one gets it, and
// keeps it.
func TestOneServerWinsAnAbandonedFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "survey")
	for round := range 200 {
		abandon(t, path)
		const contenders = 4
		servers := make([]*gopherdiscovery.DiscoveryServer, contenders)
		var all sync.WaitGroup
		start := make(chan struct{})
		for i := range contenders {
			all.Go(func() {
				<-start
				var err error
				if servers[i], err = gopherdiscovery.Server("ipc://"+path, anyPort, quickOptions); err != nil && !errors.Is(err, syscall.EADDRINUSE) {
					t.Errorf("got error %v, want address in use", err)
				}
			})
		}
		close(start)
		all.Wait()
		won := 0
		for _, server := range servers {
			if server != nil {
				won++
				defer server.Close()
			}
		}
		if won != 1 {
			t.Fatalf("round %d: %d servers run on the same file, want 1", round, won)
		}
		for _, server := range servers {
			if server != nil {
				server.Close()
			}
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left in the directory: %v, %v, want no files", left, err)
	}
}

// Close removes the socket file that the server created, but not one that
// something else has put there since.
func TestCloseLeavesTheFileOfASuccessor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "survey")
	server := startServerAt(t, "ipc://"+path, anyPort, quickOptions)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	successor, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer successor.Close()
	server.Close()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("the file of the successor is gone: %v", err)
	}
	c.Close()
}

// A relative path is resolved when the server starts. A later change of the
// working directory does not matter.
func TestRelativePathIsMadeAbsolute(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	t.Chdir(first)
	server := startServerAt(t, "ipc://survey", "ipc://@lists", quickOptions)
	survey, pubsub := server.URLs()
	if wd, _ := os.Getwd(); survey != "ipc://"+wd+"/survey" || pubsub != "ipc://"+wd+"/@lists" {
		t.Errorf("URLs: got %s and %s, want them in %s", survey, pubsub, wd)
	}
	if _, err := os.Lstat("@lists"); err != nil {
		t.Errorf("@lists is no file: %v", err)
	}
	_, peers := join(t, server, "one")
	await(t, peers, "one")
	if err := os.Chdir(second); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"survey", "@lists", "survey.lock"} {
		if err := os.WriteFile(name, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server.Close()
	for dir, want := range map[string]int{first: 0, second: 3} {
		if left, err := os.ReadDir(dir); err != nil || len(left) != want {
			t.Errorf("in %s: got %v, %v, want %d files", dir, left, err, want)
		}
	}
}

func TestPathTooLongOnceAbsolute(t *testing.T) {
	_, err := gopherdiscovery.Server("ipc://"+strings.Repeat("x", 107), anyPort, quickOptions)
	if !errors.Is(err, gopherdiscovery.ErrInvalidURL) || !strings.Contains(err.Error(), "urlServer") {
		t.Errorf("got error %v, want one that is %v", err, gopherdiscovery.ErrInvalidURL)
	}
}

// A server whose files something else has removed leaves those of its successor
// alone.
func TestCloseLeavesTheLockOfASuccessor(t *testing.T) {
	dir := t.TempDir()
	url := "ipc://" + dir + "/survey"
	start := func() (*gopherdiscovery.DiscoveryServer, error) {
		return gopherdiscovery.Server(url, "tcp://127.0.0.1:0", gopherdiscovery.Options{Logger: slog.New(slog.DiscardHandler)})
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
