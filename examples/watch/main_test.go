package main

import (
	"encoding/json"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/examples/internal/clitest"
)

func TestMain(m *testing.M) { clitest.Main(m, main) }

// startServer starts a server whose list has these names.
func startServer(t *testing.T, names ...string) (server, pubsub string) {
	t.Helper()
	s := clitest.StartServer(t, "tcp://127.0.0.1:0", "tcp://127.0.0.1:0", gopherdiscovery.Options{})
	server, pubsub = s.URLs()
	for _, name := range names {
		clitest.Join(t, clitest.Quiet, server, name)
	}
	clitest.AwaitList(t, clitest.Quiet, pubsub, names...)
	return server, pubsub
}

// closedPort returns a URL at which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return "tcp://" + listener.Addr().String()
}

func TestPrintsChanges(t *testing.T) {
	t.Parallel()
	const clock = `^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  `
	server, pubsub := startServer(t, "http://a", "http://b")
	p := clitest.Start(t, "-pubsub", pubsub)
	p.Stdout.Await(clock + `\+ http://a\n` + clock + `\+ http://b\n` + clock + `total 2\n`)
	c := clitest.Join(t, clitest.Quiet, server, "http://c")
	p.Stdout.Await(`\A` + clock + `\+ http://c\n` + clock + `total 3\n`)
	_ = c.Close()
	p.Stdout.Await(`\A` + clock + `- http://c\n` + clock + `total 2\n`)
}

func TestPrintsThatNobodyIsThere(t *testing.T) {
	t.Parallel()
	_, pubsub := startServer(t)
	p := clitest.Start(t, "-pubsub", pubsub)
	p.Stdout.Await(`\A\S+ \S+  total 0\n`)
}

func TestPrintsJSON(t *testing.T) {
	t.Parallel()
	server, pubsub := startServer(t, "a")
	p := clitest.Start(t, "-json", "-pubsub", pubsub)
	next := func(joined, left []string, total int) {
		t.Helper()
		line := p.Stdout.Await(`\A.*\n`)[0]
		var got event
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if got.Time.IsZero() || !slices.Equal(got.Joined, joined) || !slices.Equal(got.Left, left) || got.Total != total {
			t.Errorf("%s, want %q joined, %q left, %d in all", line, joined, left, total)
		}
		if strings.Contains(line, "null") {
			t.Errorf("%s has null in it, want []", line)
		}
	}
	next([]string{"a"}, nil, 1)
	b := clitest.Join(t, clitest.Quiet, server, "b")
	next([]string{"b"}, nil, 2)
	_ = b.Close()
	next(nil, []string{"b"}, 1)
}

func TestSeveralServers(t *testing.T) {
	t.Parallel()
	_, one := startServer(t, "a")
	server, two := startServer(t, "b")
	p := clitest.Start(t, "-pubsub", one+","+two)
	p.Stdout.Await(`total 2\n`)
	clitest.Join(t, clitest.Quiet, server, "c")
	p.Stdout.Await(`\+ c\n.*total 3\n`)
}

func TestOnce(t *testing.T) {
	t.Parallel()
	_, empty := startServer(t)
	_, one := startServer(t, "a", "b")
	_, two := startServer(t, "b", "c")
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"list", []string{"-pubsub", one}, "a\nb\n"},
		{"json", []string{"-pubsub", one, "-json"}, `["a","b"]` + "\n"},
		{"several servers", []string{"-pubsub", one + "," + two}, "a\nb\nc\n"},
		{"empty", []string{"-pubsub", empty}, ""},
		{"empty json", []string{"-pubsub", empty, "-json"}, "[]\n"},
		{"empty and not", []string{"-pubsub", empty + "," + two}, "b\nc\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			args := slices.Concat([]string{"-once", "-timeout", clitest.Patience.String()}, test.args)
			stdout, stderr, code := clitest.Start(t, args...).Wait()
			if code != 0 || stdout != test.want || stderr != "" {
				t.Errorf("exit code %d, stdout %q, stderr %q, want 0, %q and nothing", code, stdout, stderr, test.want)
			}
		})
	}
}

// A timeout that is over is the outcome here, so it may be short where nobody answers. Where somebody does it is long enough.
func TestOnceWithoutServers(t *testing.T) {
	t.Parallel()
	closed := closedPort(t)
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		clitest.Start(t, "-once", "-timeout", "100ms", "-log-level", "error", "-pubsub", closed).WantFailure(1, "watch: -pubsub "+closed, "100ms")
	})
	t.Run("one of two", func(t *testing.T) {
		t.Parallel()
		_, pubsub := startServer(t, "a")
		stdout, stderr, code := clitest.Start(t, "-once", "-timeout", "5s", "-pubsub", closed+","+pubsub).Wait()
		if code != 0 || stdout != "a\n" || !strings.Contains(stderr, "some may be missing") {
			t.Errorf("exit code %d, stdout %q, stderr %q, want 0, the list and a warning", code, stdout, stderr)
		}
	})
}

// A list that lacks those who have not been surveyed yet is no answer.
func TestOnceWaitsForTheCompleteList(t *testing.T) {
	t.Parallel()
	// start starts a server that knows one name, and is complete after a while.
	start := func(t *testing.T, while time.Duration) (pubsub string) {
		s, err := gopherdiscovery.Server("tcp://127.0.0.1:0", "tcp://127.0.0.1:0", gopherdiscovery.Options{
			PollTime: while,
			Logger:   clitest.Quiet.Logger,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		server, pubsub := s.URLs()
		clitest.Join(t, clitest.Quiet, server, "a")
		clitest.AwaitList(t, clitest.Quiet, pubsub, "a")
		return pubsub
	}
	t.Run("in time", func(t *testing.T) {
		t.Parallel()
		const while = 3 * time.Second
		started := time.Now()
		pubsub := start(t, while)
		stdout, stderr, code := clitest.Start(t, "-once", "-timeout", clitest.Patience.String(), "-pubsub", pubsub).Wait()
		if code != 0 || stdout != "a\n" || stderr != "" {
			t.Errorf("exit code %d, stdout %q, stderr %q, want 0, the list and nothing", code, stdout, stderr)
		}
		if took := time.Since(started); took < while {
			t.Errorf("ended %v after the start of the server, whose list is complete after %v", took, while)
		}
	})
	t.Run("never", func(t *testing.T) {
		t.Parallel()
		pubsub := start(t, time.Hour)
		clitest.Start(t, "-once", "-timeout", "500ms", "-pubsub", pubsub).WantFailure(1, "watch: -pubsub "+pubsub, "no complete list within 500ms")
	})
	t.Run("one of two", func(t *testing.T) {
		t.Parallel()
		incomplete := start(t, time.Hour)
		_, complete := startServer(t, "b")
		stdout, stderr, code := clitest.Start(t, "-once", "-timeout", "5s", "-pubsub", incomplete+","+complete).Wait()
		if code != 0 || stdout != "b\n" || !strings.Contains(stderr, "some may be missing") {
			t.Errorf("exit code %d, stdout %q, stderr %q, want 0, the complete list and a warning", code, stdout, stderr)
		}
	})
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args string
		want string
	}{
		{"-nonsense", "-nonsense"},
		{"word", `"word"`},
		{"-timeout 0s", "-timeout 0s"},
		{"-timeout -1s", "-timeout -1s"},
		{"-timeout soon", `"soon" for flag -timeout`},
		{"-pubsub nonsense", `"nonsense"`},
		{"-once -pubsub nonsense", `"nonsense"`},
		{"-pubsub tcp://127.0.0.1:0", `"0"`},
		{"-pubsub tcp://127.0.0.1:1,", `""`},
		{"-log-format xml", "xml"},
		{"-tls-cert missing.pem", "-tls-cert missing.pem"},
		{"-tls-ca missing.pem", "missing.pem"},
	} {
		t.Run(test.args, func(t *testing.T) {
			t.Parallel()
			clitest.Start(t, strings.Fields(test.args)...).WantFailure(2, "watch: ", test.want)
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := clitest.Start(t, "-h").Wait()
	if code != 0 || stderr != "" || !strings.Contains(stdout, "\n  -once\n") {
		t.Errorf("exit code %d, stdout %q, stderr %q, want 0, the flags and nothing", code, stdout, stderr)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	authority := clitest.NewAuthority(t)
	s := clitest.StartServer(t, "tls+tcp://127.0.0.1:0", "tls+tcp://127.0.0.1:0", gopherdiscovery.Options{
		TLSConfig: authority.ServerTLS("server"),
	})
	server, pubsub := s.URLs()
	dialer := authority.Dialer("peer")
	clitest.Join(t, dialer, server, "a")
	clitest.AwaitList(t, dialer, pubsub, "a")

	with := []string{"-once", "-timeout", clitest.Patience.String(), "-pubsub", pubsub}
	stdout, stderr, code := clitest.Start(t, slices.Concat(with, authority.Issue("watch"))...).Wait()
	if code != 0 || stdout != "a\n" || stderr != "" {
		t.Errorf("exit code %d, stdout %q, stderr %q, want 0, the list and nothing", code, stdout, stderr)
	}
	without := clitest.Start(t, "-pubsub", pubsub, "-tls-ca", authority.File)
	without.Stderr.Await(`refuses the TLS connection.*certificate required`)
}

// The server comes back with a certificate of another authority, and wants to
// see one of it.
func TestRotation(t *testing.T) {
	t.Parallel()
	before, after := clitest.NewAuthority(t), clitest.NewAuthority(t)
	// Nothing connects from this address, and so nobody takes the port while the server is away.
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
	p := clitest.Start(t, slices.Concat([]string{"-pubsub", pubsub}, clitest.Mount(t, dir, before.Issue("watch")))...)
	p.Stdout.Await(`\+ a\n`)
	clitest.Mount(t, dir, after.Issue("watch"))
	_ = s.Close()
	start(pubsub, after, "b")
	p.Stdout.Await(`\+ b\n`)
}
