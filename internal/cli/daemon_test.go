//go:build unix

package cli_test

import (
	"syscall"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

func TestReaderIsGone(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		args []string
		code int
	}{
		{"daemon", []string{"-daemon"}, 0},
		{"other", nil, -1}, // by SIGPIPE
	} {
		for name, stream := range map[string]func(*clitest.Program) *clitest.Stream{
			"stdout": func(p *clitest.Program) *clitest.Stream { return p.Stdout },
			"stderr": func(p *clitest.Program) *clitest.Stream { return p.Stderr },
		} {
			t.Run(test.name+" "+name, func(t *testing.T) {
				t.Parallel()
				p := clitest.Start(t, test.args...)
				p.Stderr.Await(`msg=running`)
				stream(p).Close()
				p.Signal(syscall.SIGTERM)
				if _, _, code := p.Wait(); code != test.code {
					t.Errorf("exit code %d, want %d", code, test.code)
				}
			})
		}
	}
}

func TestHangup(t *testing.T) {
	t.Parallel()
	t.Run("daemon", func(t *testing.T) {
		t.Parallel()
		p := clitest.Start(t, "-daemon")
		p.Stderr.Await(`msg=running`)
		for range 2 {
			p.Signal(syscall.SIGHUP)
			p.Stderr.Await(`level=INFO msg="SIGHUP: there are no files to read again"$`)
		}
		p.Signal(syscall.SIGTERM)
		if _, stderr, code := p.Wait(); code != 0 {
			t.Errorf("exit code %d, stderr %q, want 0", code, stderr)
		}
	})
	t.Run("other", func(t *testing.T) {
		t.Parallel()
		p := clitest.Start(t)
		p.Stderr.Await(`msg=running`)
		p.Signal(syscall.SIGHUP)
		if _, stderr, code := p.Wait(); code != -1 {
			t.Errorf("exit code %d, stderr %q, want -1, by SIGHUP", code, stderr)
		}
	})
}
