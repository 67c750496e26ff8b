//go:build unix

package cli_test

import (
	"syscall"
	"testing"

	"github.com/dahernan/gopherdiscovery/examples/internal/clitest"
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
