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
	p.Stdout.Await(`^The proxy's status page is at http://127\.0\.0\.1:\d+$`)
	p.Stdout.Await(`^Load: `)
	p.Stdout.Await(`^  \d+ requests: 0 failed, 0 retried; answered by a \d+ b \d+ c \d+\.$`)
	p.Stdout.Await(`^a leaves: `)
	p.Stdout.Await(`^  Its process has ended after \d+\.\d ms\.$`)
	p.Stdout.Await(`^  \d+ requests: 0 failed, \d+ retried; answered by a \d+ b \d+ c \d+\.$`)
	p.Stdout.Await(`^b is killed `)
	p.Stdout.Await(`^  \d+ requests: (\d+) failed( \(\d+ of them POST\))?, \d+ retried; answered by b \d+ c \d+\.$`)
	p.Stdout.Await(`^d joins\.$`)
	p.Stdout.Await(`^  Its first answer came \d+\.\d ms after its start\.$`)
	p.Stdout.Await(`^  \d+ requests: 0 failed, 0 retried; answered by c \d+ d \d+\.$`)
	if _, stderr, code := p.Wait(); code != 0 || stderr != "" {
		t.Errorf("exit code %d, stderr %q, want 0 and nothing", code, stderr)
	}
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args string
		want string // in the line on stderr
	}{
		{"word", `"word"`},
		{"-pubsub nonsense -http 127.0.0.1:0", `"nonsense"`},
		{"-backend -server tcp://127.0.0.1:65536 -http 127.0.0.1:0", "65536"},
		{"-backend -http 0.0.0.0:0", "-name"},
		{"-backend -http 127.0.0.1:0 -name a|b", "a|b"},
		{"-backend -work -1s", "-work -1s"},
		{"-backend -grace -1s", "-grace -1s"},
		{"-demo -http 127.0.0.1:0", "-demo"},
	} {
		t.Run(test.args, func(t *testing.T) {
			t.Parallel()
			clitest.Start(t, strings.Fields(test.args)...).WantFailure(1, "loadbalancer: ", test.want)
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
		clitest.Start(t, "-http", address).WantFailure(1, "loadbalancer: ", address)
		clitest.Start(t, "-http", "127.0.0.1:0", "-status", address).WantFailure(1, "loadbalancer: ", address)
		clitest.Start(t, "-backend", "-http", address).WantFailure(1, "loadbalancer: ", address)
	}
}
