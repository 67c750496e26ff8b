//go:build unix

package main

import (
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

func TestSignal(t *testing.T) {
	t.Parallel()
	const interrupted = warnings + `cluster: interrupted\n$`
	for _, test := range []struct {
		name string
		sig  syscall.Signal
		send func(*clitest.Program, syscall.Signal)
		code int
		want string // a pattern for stderr
	}{
		{"ctrl-c", syscall.SIGINT, (*clitest.Program).SignalGroup, 1, interrupted},
		{"int", syscall.SIGINT, (*clitest.Program).Signal, 1, interrupted},
		{"term", syscall.SIGTERM, (*clitest.Program).Signal, 1, interrupted},
		{"group-term", syscall.SIGTERM, (*clitest.Program).SignalGroup, 1, interrupted},
		// The children notice.
		{"kill", syscall.SIGKILL, (*clitest.Program).Signal, -1, warnings + `$`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			survey, pubsub := "ipc://"+filepath.Join(dir, "s"), "ipc://"+filepath.Join(dir, "p")
			p := clitest.Start(t, strangerVariable+"=1", "-server", survey, "-pubsub", pubsub)
			p.Stdout.Await(`stranger`)
			test.send(p, test.sig)
			_, stderr, code := p.Wait()
			if code != test.code || !regexp.MustCompile(test.want).MatchString(stderr) {
				t.Errorf("exit code %d, stderr %q, want %d and %q", code, stderr, test.code, test.want)
			}
			clitest.WantEmpty(t, dir)
		})
	}
}

// What the program is doing when the signal comes, and whether it comes in
// time, is up to chance. No process may be left.
func TestCtrlCAtAnyMoment(t *testing.T) {
	t.Parallel()
	for lines := range 12 {
		t.Run(strconv.Itoa(lines), func(t *testing.T) {
			t.Parallel()
			p := clitest.Start(t)
			for range lines {
				p.Stdout.Await(`\n`)
			}
			p.SignalGroup(syscall.SIGINT)
			p.Wait()
		})
	}
}
