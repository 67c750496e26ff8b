package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

func TestMain(m *testing.M) { clitest.Main(m, main) }

// startCommand starts a subcommand. Variables of its environment come first in
// the arguments, as in those of clitest.Start.
func startCommand(t *testing.T, name string, args ...string) *clitest.Program {
	t.Helper()
	i := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "-") || !strings.Contains(arg, "=") })
	if i < 0 {
		i = len(args)
	}
	return clitest.Start(t, slices.Insert(slices.Clone(args), i, name)...)
}

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

// closedPort is a URL at which nobody listens. A port that was just closed
// could be another test's by now.
const closedPort = "tcp://127.0.0.1:1"

func TestBadCommands(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args string
		want string
	}{
		{"", "no command"},
		{"nonsense -json", `"nonsense"`},
		{"-nonsense", "-nonsense"},
		{"-json list", "-json"},
		{"serve list", `"list"`},
		{"help nonsense", `"nonsense"`},
		{"help serve list", `"list"`},
		{"version list", `"list"`},
		{"list word", `"word"`},
	} {
		t.Run(test.args, func(t *testing.T) {
			t.Parallel()
			clitest.Start(t, strings.Fields(test.args)...).WantFailure(2, "gopherdiscovery: ", test.want, "-h tells more")
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"-h":         "\n  serve ",
		"help":       "\n  serve ",
		"serve -h":   "\n  -poll-time 2s ",
		"help serve": "\n  -poll-time 2s ",
		"watch -h":   "\n  -json=",
		"list -h":    "\n  -timeout ",
		"list -help": "\n  -timeout ",
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := clitest.Start(t, strings.Fields(args)...).Wait()
			if code != 0 || stderr != "" || !strings.Contains(stdout, want) {
				t.Errorf("exit code %d, stdout %q, stderr %q, want 0, %q and nothing", code, stdout, stderr, want)
			}
		})
	}
}

// Prose is read in a terminal. The tables of flags and commands cannot be
// broken.
func TestHelpIsNarrow(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"", "serve", "watch", "announce", "list", "help", "version", "complete"} {
		help, _, _ := clitest.Start(t, strings.Fields("help "+command)...).Wait()
		prose, _, _ := strings.Cut(help, "\nFLAGS\n")
		for line := range strings.Lines(prose) {
			if width := len(line) - 1; width > 80 {
				t.Errorf("help %s: %d columns, want 80 at most: %s", command, width, line)
			}
		}
	}
}

// A default that only the library knows is not shown as zero.
func TestHelpShowsDefaults(t *testing.T) {
	t.Parallel()
	stdout, _, _ := clitest.Start(t, "serve", "-h").Wait()
	if zero := regexp.MustCompile(`(?m)^  -\S+ 0s? .*|.*default.*`).FindString(stdout); zero != "" {
		t.Errorf("%q is in the help, want the value that counts in its column", zero)
	}
}

// README.md names each flag of each command.
func TestFlagsAreDocumented(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	help, _, _ := clitest.Start(t, "-h").Wait()
	_, commands, _ := strings.Cut(help, "\nSUBCOMMANDS\n")
	flag := regexp.MustCompile(`(?m)^  (-[a-z-]+)`)
	found := 0
	for _, command := range regexp.MustCompile(`(?m)^  ([a-z]+) `).FindAllStringSubmatch(commands, -1) {
		if !regexp.MustCompile(`(?m)^## (?:.*[ ,])?` + command[1] + `\b`).Match(readme) {
			t.Errorf("README.md has no section on %s", command[1])
		}
		help, _, _ := clitest.Start(t, command[1], "-h").Wait()
		for _, name := range flag.FindAllStringSubmatch(help, -1) {
			found++
			if !regexp.MustCompile("`" + name[1] + "[` ]").Match(readme) {
				t.Errorf("README.md does not name the flag %s of %s", name[1], command[1])
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d flags in the help:\n%s", found, help)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := clitest.Start(t, "version").Wait()
	if code != 0 || stderr != "" || !strings.HasPrefix(stdout, "gopherdiscovery ") || strings.Count(stdout, "\n") != 1 {
		t.Errorf("exit code %d, stdout %q, stderr %q, want 0, the version and nothing", code, stdout, stderr)
	}
}
