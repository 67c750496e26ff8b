//go:build unix

package main

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

func TestComplete(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"gopherdiscovery ":                    "serve watch announce list help version complete",
		"gopherdiscovery l":                   "list",
		"gopherdiscovery help wa":             "watch",
		"gopherdiscovery serve -p":            "-poll-time -pubsub",
		"gopherdiscovery list -timeout 3s -j": "-json",
		"gopherdiscovery list -tls-cert ":     "",
		"gopherdiscovery nonsense -p":         "",
		"gopherdiscovery announce -- ls -p":   "",
		"gopherdiscovery":                     "",
		"":                                    "",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := clitest.Start(t, "COMP_LINE="+line, "complete", "gopherdiscovery", "word", "before").Wait()
			if got := strings.Join(strings.Fields(stdout), " "); got != want || stderr != "" || code != 0 {
				t.Errorf("exit code %d, stdout %q, stderr %q, want 0, %q and nothing", code, got, stderr, want)
			}
		})
	}
}

// A shell does what README.md says.
func TestCompleteInBash(t *testing.T) {
	t.Parallel()
	need(t, "bash", "bash")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bash := exec.CommandContext(t.Context(), "bash", "--norc", "--noprofile", "-i")
	bash.Env = append(os.Environ(), clitest.AsProgram, "TERM=dumb", "PS1=", "HISTFILE=")
	terminal, err := pty.Start(bash)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = terminal.Close()
		_ = bash.Wait()
	}()
	if err := terminal.SetDeadline(time.Now().Add(clitest.Patience)); err != nil {
		t.Fatal(err)
	}
	const asREADME = "complete -o default -C 'gopherdiscovery complete' gopherdiscovery\n"
	readme, err := os.ReadFile("../README.md")
	if err != nil || !strings.Contains(string(readme), asREADME) {
		t.Fatalf("README.md has not %q, error %v", asREADME, err)
	}
	if _, err := io.WriteString(terminal, "gopherdiscovery() { '"+self+"' \"$@\"; }\n"+asREADME+"gopherdiscovery ver\t"); err != nil {
		t.Fatal(err)
	}
	var seen strings.Builder
	for buffer := make([]byte, 1000); !strings.Contains(seen.String(), "gopherdiscovery version "); {
		n, err := terminal.Read(buffer)
		seen.Write(buffer[:n])
		if err != nil {
			t.Fatalf("%v; the terminal has %q", err, seen.String())
		}
	}
}
