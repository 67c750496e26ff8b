//go:build unix

package interop_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// startTLSServer starts a server that wants certificates, and admits clients
// that announce the name in theirs.
func startTLSServer(t *testing.T, a *clitest.Authority) *gopherdiscovery.DiscoveryServer {
	t.Helper()
	opt := ourOptions
	opt.TLSConfig = a.ServerTLS("server")
	opt.Authorize = func(service string, from gopherdiscovery.Conn) error {
		if service != from.TLS.PeerCertificates[0].Subject.CommonName {
			return errors.New("another's name")
		}
		return nil
	}
	return startServerWith(t, "tls+tcp://127.0.0.1:0", "tls+tcp://127.0.0.1:0", opt)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	command := languages["python"](t)
	a := clitest.NewAuthority(t)
	server := startTLSServer(t, a)
	survey, pubsub := server.URLs()
	issued := a.Issue("alice")
	cert, key := issued[1], issued[3]

	args := append(announcing("alice", survey, pubsub), issued...)
	p := startPeer(t, command, args...)
	p.awaitList("alice")
	p.end(syscall.SIGTERM)
	if code, stderr := p.wait(); code != 0 || stderr != "" {
		t.Errorf("exit code %d, stderr %q, want 0 and nothing", code, stderr)
	}

	for _, args := range [][]string{
		{"-tls-ca", a.File, "-tls-cert", cert},
		{"-tls-ca", a.File, "-tls-key", key},
		{"-tls-ca", a.File + "-none"},
		{"-tls-cert", cert, "-tls-key", a.File},
	} {
		p := startPeer(t, command, append(announcing("alice", survey, pubsub), args...)...)
		if code, stderr := p.wait(); code != 2 || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "peer.py: ") {
			t.Errorf("%q: exit code %d, stderr %q, want 2 and one line", args, code, stderr)
		}
	}
}

// A server whose certificate is not trusted learns nothing. The peer tries it
// again, with one line about it for each connection.
func TestTLSDistrust(t *testing.T) {
	t.Parallel()
	command := languages["python"](t)
	a := clitest.NewAuthority(t)
	server := startTLSServer(t, a)
	survey, pubsub := server.URLs()
	p := startPeer(t, command, announcing("alice", survey, pubsub)...)
	testmain.Await(t, "ten attempts", func() bool { return server.Stats().Refused >= 10 })
	p.end(syscall.SIGTERM)
	code, stderr := p.wait()
	lines := strings.Count(stderr, "\n")
	if code != 0 || lines < 1 || lines > 2 || strings.Count(stderr, "certificate verify failed") != lines {
		t.Errorf("exit code %d, stderr %q, want 0 and at most a line for each of two connections", code, stderr)
	}
}
