package gopherdiscovery_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"go.nanomsg.org/mangos/v3"
)

// mangosSocket returns a stock mangos socket, which is closed when the test
// ends.
func mangosSocket(t testing.TB, newSocket func() (mangos.Socket, error)) mangos.Socket {
	t.Helper()
	sock, err := newSocket()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sock.Close() })
	return sock
}

func listenStock(t *testing.T, sock mangos.Socket, url string) string {
	t.Helper()
	l, err := sock.NewListener(url, nil)
	if err == nil {
		err = l.Listen()
	}
	if err != nil {
		t.Fatal(err)
	}
	return l.Address()
}

// program starts a program and returns the lines that it prints. The program is
// killed when kill is called or the test ends.
func program(t *testing.T, name string, args ...string) (lines <-chan string, kill func()) {
	t.Helper()
	return programWith(t, os.Stderr, name, args...)
}

// programWith is like program, with a given stderr.
func programWith(t *testing.T, stderr io.Writer, name string, args ...string) (lines <-chan string, kill func()) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed, and CI needs it", name)
		}
		t.Skipf("%s is not installed (Debian packages nanomsg-utils and nng-utils)", name)
	}
	cmd := exec.Command(path, args...)
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	printed := make(chan string, 1000)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			select {
			case printed <- scan.Text():
			default: // no one reads any more
			}
		}
	}()
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = cmd.Wait()
	})
	t.Cleanup(kill)
	return printed, kill
}

func awaitLine(t *testing.T, lines <-chan string, want string) {
	t.Helper()
	timeout := time.After(patience)
	var got []string
	for {
		select {
		case line := <-lines:
			if line == want {
				return
			}
			got = append(got, line)
		case <-timeout:
			t.Fatalf("got lines %q, want %q", got, want)
		}
	}
}
