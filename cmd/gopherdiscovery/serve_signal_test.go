//go:build unix

package main

import (
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

func TestServeSignal(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		for _, args := range [][]string{nil, {"-http", "127.0.0.1:0"}} {
			t.Run(sig.String()+" "+strings.Join(args, " "), func(t *testing.T) {
				t.Parallel()
				p, server, pubsub, _ := startServe(t, args...)
				clitest.Join(t, clitest.Quiet, server, "a")
				clitest.AwaitList(t, clitest.Quiet, pubsub, "a")
				p.Signal(sig)
				stdout, stderr, code := p.Wait()
				if code != 0 || stdout != "" || strings.Count(stderr, "\n") != 2 || !strings.Contains(stderr, `msg="the server has ended"`) {
					t.Errorf("exit code %d, stdout %q, stderr %q, want 0, nothing and two lines", code, stdout, stderr)
				}
				for _, url := range []string{server, pubsub} {
					free, err := net.Listen("tcp", strings.TrimPrefix(url, "tcp://"))
					if err != nil {
						t.Errorf("%s is not free: %v", url, err)
						continue
					}
					_ = free.Close()
				}
			})
		}
	}
}

// The log is lost with its reader, the service is not.
func TestServeReaderOfTheLogIsGone(t *testing.T) {
	t.Parallel()
	p, server, pubsub, url := startServe(t, "-http", "127.0.0.1:0")
	p.Stderr.Close()
	stranger, err := net.Dial("tcp", strings.TrimPrefix(server, "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if _, err := stranger.Write([]byte("GET / HTTP/1.0\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, stranger); err != nil {
		t.Logf("the stranger's connection: %v", err)
	}
	clitest.Join(t, clitest.Quiet, server, "a")
	clitest.AwaitList(t, clitest.Quiet, pubsub, "a")
	get(t, url+"/healthz")
	p.Signal(syscall.SIGTERM)
	if stdout, _, code := p.Wait(); code != 0 || stdout != "" {
		t.Errorf("exit code %d, stdout %q, want 0 and nothing", code, stdout)
	}
}

func TestServeHangup(t *testing.T) {
	t.Parallel()
	authority := clitest.NewAuthority(t)
	issued := authority.Issue("server")
	p, server, pubsub, _ := startServe(t, slices.Concat(tlsURLs, issued)...)
	peer := authority.Dialer("peer")
	p.Signal(syscall.SIGHUP)
	p.Stderr.Await(`level=INFO msg="SIGHUP: the files were read again"$`)
	clitest.Join(t, peer, server, "a")
	clitest.AwaitList(t, peer, pubsub, "a")

	clitest.Copy(t, issued[1], authority.Issue("other")[1])
	p.Signal(syscall.SIGHUP)
	p.Stderr.Await(`level=WARN msg="SIGHUP: keeping what was in the files before" error=".*-tls-key .*private key does not match`)
	clitest.Join(t, peer, server, "b")
	clitest.AwaitList(t, peer, pubsub, "a", "b")
	p.Signal(syscall.SIGTERM)
	if _, stderr, code := p.Wait(); code != 0 || strings.Count(stderr, "\n") != 4 {
		t.Errorf("exit code %d, stderr %q, want 0 and four lines", code, stderr)
	}
}
