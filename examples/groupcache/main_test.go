package main

import (
	"net"
	"strings"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

func TestMain(m *testing.M) { clitest.Main(m, main) }

func TestDemo(t *testing.T) {
	t.Parallel()
	p := clitest.Start(t, "-demo")
	p.Stdout.Await(`^  60 keys asked for at 3 caches, 180 requests: a loads \d+, b loads \d+, c loads \d+, together 60\.$`)
	p.Stdout.Await(`^b is killed`)
	p.Stdout.Await(`^  The others know it after \d+\.\d ms\. \d+ requests were answered meanwhile, 0 failed\.$`)
	p.Stdout.Await(`^  60 keys asked for at 2 caches, 120 requests: a loads \d+, c loads \d+, together \d+\.$`)
	p.Stdout.Await(`^d joins`)
	p.Stdout.Await(`^  60 keys asked for at 3 caches, 180 requests: a loads 0, c loads 0, d loads \d+, together \d+\.$`)
	if _, stderr, code := p.Wait(); code != 0 || stderr != "" {
		t.Errorf("exit code %d, stderr %q, want 0 and nothing", code, stderr)
	}
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		want string // in the line on stderr
	}{
		{[]string{"word"}, `"word"`},
		{[]string{"-server", "nonsense", "-http", "127.0.0.1:0"}, `"nonsense"`},
		{[]string{"-pubsub", "tcp://127.0.0.1:65536", "-http", "127.0.0.1:0"}, "65536"},
		{[]string{"-http", "0.0.0.0:0"}, "-name"},
		{[]string{"-http", "127.0.0.1:0", "-name", "http://a|b"}, "http://a|b"},
		{[]string{"-timeout", "0s"}, "-timeout 0s"},
		{[]string{"-demo", "-http", "127.0.0.1:0"}, "-demo"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			t.Parallel()
			clitest.Start(t, test.args...).WantFailure(1, "groupcache: ", test.want)
		})
	}
}

func TestAddressThatCannotBeBound(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, address := range []string{taken.Addr().String(), "no-such-host.invalid:0"} {
		clitest.Start(t, "-http", address).WantFailure(1, "groupcache: ", address)
	}
}
