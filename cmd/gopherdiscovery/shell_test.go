//go:build unix

package main

import (
	"fmt"
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
		"gopherdiscovery list -log-level ":    "debug info warn error",
		"gopherdiscovery list --log-format j": "json",
		"gopherdiscovery list -log-level -js": "",
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

// The cursor need not be at the end of the line.
func TestCompleteAtCursor(t *testing.T) {
	t.Parallel()
	const line = "gopherdiscovery list -match café -log-level w"
	for point, want := range map[string]string{
		"18": "list\n",
		"45": "warn\n",
		"99": "warn\n",
		"-1": "warn\n",
		"":   "warn\n",
		"0":  "",
	} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			stdout, _, code := clitest.Start(t, "COMP_LINE="+line, "COMP_POINT="+point, "complete").Wait()
			if stdout != want || code != 0 {
				t.Errorf("exit code %d, stdout %q, want 0 and %q", code, stdout, want)
			}
		})
	}
}

// Shells do what README.md says.
func TestCompleteInShells(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, shell := range []struct {
		args  []string
		setup string // as README.md has it
	}{
		{[]string{"bash", "--norc", "--noprofile", "-i"}, ""},
		{[]string{"zsh", "-f", "-i"}, "autoload -U compinit bashcompinit && compinit && bashcompinit"},
	} {
		t.Run(shell.args[0], func(t *testing.T) {
			t.Parallel()
			need(t, shell.args[0], shell.args[0])
			const complete = "complete -o default -C 'gopherdiscovery complete' gopherdiscovery"
			for _, line := range []string{shell.setup, complete} {
				if !strings.Contains(string(readme), line) {
					t.Fatalf("README.md has not %q", line)
				}
			}
			cmd := exec.CommandContext(t.Context(), shell.args[0], shell.args[1:]...)
			cmd.Env = append(os.Environ(), clitest.AsProgram, "TERM=dumb", "PS1=", "HISTFILE=", "HOME="+t.TempDir())
			terminal, err := pty.Start(cmd)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = terminal.Close()
				_ = cmd.Wait()
			}()
			if err := terminal.SetDeadline(time.Now().Add(clitest.Patience)); err != nil {
				t.Fatal(err)
			}
			var seen strings.Builder
			// What is typed is seen too: not in this form.
			const program = `gopherdiscovery() { if [ "$1" = complete ]; then '%s' "$@"; else printf '<%%s>' "$@"; fi; }` + "\n"
			typed := fmt.Sprintf(program, self) + shell.setup + "\n" + complete + "\n"
			for line, want := range map[string]string{
				"gopherdiscovery ver":                "<version>",
				"gopherdiscovery serve -pubs":        "<serve><-pubsub>",
				"gopherdiscovery list -log-format j": "<list><-log-format><json>",
			} {
				if _, err := io.WriteString(terminal, typed+line+"\t\n"); err != nil {
					t.Fatal(err)
				}
				for buffer := make([]byte, 1000); !strings.Contains(seen.String(), want); {
					n, err := terminal.Read(buffer)
					seen.Write(buffer[:n])
					if err != nil {
						t.Fatalf("%v; the terminal has %q, want %s", err, seen.String(), want)
					}
				}
				typed = ""
			}
		})
	}
}

// Flags that complete to a few words take these.
func TestCompletedValues(t *testing.T) {
	t.Parallel()
	for name, words := range flagWords {
		for _, word := range words {
			f := listCommand().FlagSet.Lookup(name)
			if err := f.Value.Set(word); err != nil || !strings.Contains(f.Usage, word) {
				t.Errorf("-%s %s: error %v, usage %q, want none, and the word in it", name, word, err, f.Usage)
			}
		}
	}
}
