package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

func TestList(t *testing.T) {
	t.Parallel()
	_, empty := startServer(t)
	_, one := startServer(t, "a", "b")
	_, two := startServer(t, "b", "c")
	_, kinds := startServer(t, "cache+http://10.0.0.2:80", "cache+http://10.0.0.3:80", "web+http://10.0.0.2:80")
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
		{"of a kind", []string{"-pubsub", kinds, "-match", "cache+*"}, "cache+http://10.0.0.2:80\ncache+http://10.0.0.3:80\n"},
		{"of several servers", []string{"-pubsub", kinds + "," + one, "-match", "*a*2*"}, "cache+http://10.0.0.2:80\n"},
		{"none of a kind", []string{"-pubsub", kinds, "-match", "cache", "-json"}, "[]\n"},
		{"empty and not", []string{"-pubsub", empty + "," + two}, "b\nc\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			args := slices.Concat([]string{"-timeout", clitest.Patience.String()}, test.args)
			for _, command := range [][]string{{"list"}, {"watch", "-once"}} {
				args := slices.Concat(command[1:], args)
				stdout, stderr, code := startCommand(t, command[0], args...).Wait()
				if code != 0 || stdout != test.want || stderr != "" {
					t.Errorf("%s: exit code %d, stdout %q, stderr %q, want 0, %q and nothing", command[0], code, stdout, stderr, test.want)
				}
			}
		})
	}
}

// A timeout that is over is the outcome here. It is long enough for an answer
// or a refusal.
func TestListWithoutServers(t *testing.T) {
	t.Parallel()
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		startCommand(t, "list", "-timeout", "5s", "-log-level", "error", "-pubsub", closedPort).WantFailure(1, "gopherdiscovery: -pubsub "+closedPort, "5s", "refused")
	})
	t.Run("one of two", func(t *testing.T) {
		t.Parallel()
		_, pubsub := startServer(t, "a")
		stdout, stderr, code := startCommand(t, "list", "-timeout", "5s", "-pubsub", closedPort+","+pubsub).Wait()
		if code != 0 || stdout != "a\n" || !strings.Contains(stderr, "some may be missing") {
			t.Errorf("exit code %d, stdout %q, stderr %q, want 0, the list and a warning", code, stdout, stderr)
		}
	})
}

// A list that may lack clients that have not come back yet is no answer.
func TestListWaitsForTheCompleteList(t *testing.T) {
	t.Parallel()
	// start starts a server that knows one name, and is complete after a
	// while.
	start := func(t *testing.T, while time.Duration) (pubsub string) {
		s, err := gopherdiscovery.Server("tcp://127.0.0.1:0", "tcp://127.0.0.1:0", gopherdiscovery.Options{
			ReturnTime: while,
			Logger:     clitest.Quiet.Logger,
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
		const while = 2 * time.Second
		started := time.Now()
		pubsub := start(t, while)
		stdout, stderr, code := startCommand(t, "list", "-timeout", clitest.Patience.String(), "-pubsub", pubsub).Wait()
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
		startCommand(t, "list", "-timeout", "500ms", "-pubsub", pubsub).WantFailure(1, "gopherdiscovery: -pubsub "+pubsub, "no complete list within 500ms")
	})
	t.Run("one of two", func(t *testing.T) {
		t.Parallel()
		incomplete := start(t, time.Hour)
		_, complete := startServer(t, "b")
		stdout, stderr, code := startCommand(t, "list", "-timeout", "5s", "-pubsub", incomplete+","+complete).Wait()
		if code != 0 || stdout != "b\n" || !strings.Contains(stderr, "some may be missing") {
			t.Errorf("exit code %d, stdout %q, stderr %q, want 0, the complete list and a warning", code, stdout, stderr)
		}
	})
}
