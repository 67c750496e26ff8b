package main

import (
	"encoding/json"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

func TestWatchPrintsChanges(t *testing.T) {
	t.Parallel()
	const clock = `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(?:Z|[+-]\d\d:\d\d)  `
	server, pubsub := startServer(t, "http://a", "http://b")
	p := startCommand(t, "watch", "-pubsub", pubsub)
	p.Stdout.Await(clock + `\+ http://a\n` + clock + `\+ http://b\n` + clock + `total 2\n`)
	c := clitest.Join(t, clitest.Quiet, server, "http://c")
	p.Stdout.Await(`\A` + clock + `\+ http://c\n` + clock + `total 3\n`)
	_ = c.Close()
	p.Stdout.Await(`\A` + clock + `- http://c\n` + clock + `total 2\n`)
}

// A change of others is none.
func TestWatchPrintsMatches(t *testing.T) {
	t.Parallel()
	server, pubsub := startServer(t, "cache+a", "web+a")
	p := startCommand(t, "watch", "-pubsub", pubsub, "-match", "cache+*")
	p.Stdout.Await(`\A\S+  \+ cache\+a\n\S+  total 1\n`)
	web := clitest.Join(t, clitest.Quiet, server, "web+b")
	clitest.AwaitList(t, clitest.Quiet, pubsub, "cache+a", "web+a", "web+b")
	_ = web.Close()
	clitest.AwaitList(t, clitest.Quiet, pubsub, "cache+a", "web+a")
	clitest.Join(t, clitest.Quiet, server, "cache+b")
	p.Stdout.Await(`\A\S+  \+ cache\+b\n\S+  total 2\n`)
}

func TestWatchPrintsThatNobodyIsThere(t *testing.T) {
	t.Parallel()
	_, pubsub := startServer(t)
	p := startCommand(t, "watch", "-pubsub", pubsub)
	p.Stdout.Await(`\A\S+  total 0\n`)
}

func TestWatchPrintsJSON(t *testing.T) {
	t.Parallel()
	server, pubsub := startServer(t, "a")
	p := startCommand(t, "watch", "-json", "-pubsub", pubsub)
	next := func(joined, left []string, list ...string) {
		t.Helper()
		line := p.Stdout.Await(`\A.*\n`)[0]
		var got event
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if got.Time.IsZero() || got.Total != len(list) ||
			!slices.Equal(got.Joined, joined) || !slices.Equal(got.Left, left) || !slices.Equal(got.List, list) {
			t.Errorf("%s, want %q joined, %q left, %q there", line, joined, left, list)
		}
		if strings.Contains(line, "null") {
			t.Errorf("%s has null in it, want []", line)
		}
	}
	next([]string{"a"}, nil, "a")
	b := clitest.Join(t, clitest.Quiet, server, "b")
	next([]string{"b"}, nil, "a", "b")
	_ = b.Close()
	next(nil, []string{"b"}, "a")
}

func TestWatchSeveralServers(t *testing.T) {
	t.Parallel()
	_, one := startServer(t, "a")
	server, two := startServer(t, "b")
	p := startCommand(t, "watch", "-pubsub", one+","+two)
	p.Stdout.Await(`total 2\n`)
	clitest.Join(t, clitest.Quiet, server, "c")
	p.Stdout.Await(`\+ c\n.*total 3\n`)
}

func TestWatchAndListBadArguments(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args string
		want string
	}{
		{"watch -nonsense", "-nonsense"},
		{"watch -pubsub nonsense", `gopherdiscovery: invalid URL: -pubsub "nonsense"`},
		{"watch -pubsub tcp://127.0.0.1:0", `"0"`},
		{"watch -pubsub tcp://127.0.0.1:1,", `""`},
		{"watch -log-format xml", "xml"},
		{"watch -match a|b", "-match"},
		{"list -match a|b", `"a|b"`},
		{"watch -tls-cert missing.pem", "-tls-cert missing.pem"},
		{"watch -tls-ca missing.pem", "missing.pem"},
		{"list -timeout 0s", "-timeout 0s"},
		{"list -timeout -1s", "-timeout -1s"},
		{"list -timeout soon", `"soon" for flag -timeout`},
		{"list -pubsub nonsense", `gopherdiscovery: invalid URL: -pubsub "nonsense"`},
	} {
		t.Run(test.args, func(t *testing.T) {
			t.Parallel()
			clitest.Start(t, strings.Fields(test.args)...).WantFailure(2, "gopherdiscovery: ", test.want)
		})
	}
}

func TestWatchAndListTLS(t *testing.T) {
	t.Parallel()
	authority := clitest.NewAuthority(t)
	s := clitest.StartServer(t, "tls+tcp://127.0.0.1:0", "tls+tcp://127.0.0.1:0", gopherdiscovery.Options{
		TLSConfig: authority.ServerTLS("server"),
	})
	server, pubsub := s.URLs()
	dialer := authority.Dialer("peer")
	clitest.Join(t, dialer, server, "a")
	clitest.AwaitList(t, dialer, pubsub, "a")

	with := []string{"-timeout", clitest.Patience.String(), "-pubsub", pubsub}
	stdout, stderr, code := startCommand(t, "list", slices.Concat(with, authority.Issue("list"))...).Wait()
	if code != 0 || stdout != "a\n" || stderr != "" {
		t.Errorf("exit code %d, stdout %q, stderr %q, want 0, the list and nothing", code, stdout, stderr)
	}
	without := startCommand(t, "watch", "-pubsub", pubsub, "-tls-ca", authority.File)
	without.Stderr.Await(`refuses the TLS connection.*certificate required`)
}

// The server comes back with a certificate of another authority, and wants to
// see one of it.
func TestWatchRotation(t *testing.T) {
	t.Parallel()
	before, after := clitest.NewAuthority(t), clitest.NewAuthority(t)
	// Nothing connects from this address, and so nobody takes the port
	// while the server is away.
	const host = "127.0.0.2"
	if l, err := net.Listen("tcp", host+":0"); err != nil {
		t.Skipf("this system has no %s: %v", host, err)
	} else {
		_ = l.Close()
	}
	// startServer's clients know nothing of TLS, and the surveys need none.
	start := func(pubsub string, authority *clitest.Authority, name string) (s *gopherdiscovery.DiscoveryServer) {
		s = clitest.StartServer(t, "tcp://127.0.0.1:0", pubsub, gopherdiscovery.Options{TLSConfig: authority.ServerTLS("server", host)})
		server, _ := s.URLs()
		clitest.Join(t, clitest.Quiet, server, name)
		return s
	}
	s := start("tls+tcp://"+host+":0", before, "a")
	_, pubsub := s.URLs()
	dir := t.TempDir()
	p := startCommand(t, "watch", slices.Concat([]string{"-pubsub", pubsub}, clitest.Mount(t, dir, before.Issue("watch")))...)
	p.Stdout.Await(`\+ a\n`)
	clitest.Mount(t, dir, after.Issue("watch"))
	_ = s.Close()
	start(pubsub, after, "b")
	p.Stdout.Await(`\+ b\n`)
}
