//go:build unix

package interop_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/sptest"
	"github.com/dahernan/gopherdiscovery/internal/wiretest"
)

// welcome is the first message that a server sends to a subscriber that asks
// for changes. Its beat is one second.
const welcome = "\x01\x01\x00\x00\x03\xe8"

func list(flags byte, names string) string { return string([]byte{3, flags}) + names }

// change returns a CHANGE between two lists.
func change(flags byte, before, after, removed, added string) string {
	return string([]byte{4, flags}) + sum(before) + sum(after) + removed + "\x00" + added
}

func beat(flags byte, names string) string { return string([]byte{5, flags}) + sum(names) }

// have returns the message of a subscriber that has a list.
func have(names string) string { return "\x02" + sum(names) }

// sum returns the sum of names joined with |.
func sum(names string) string {
	list := strings.FieldsFunc(names, func(r rune) bool { return r == '|' })
	return string(binary.BigEndian.AppendUint64(nil, wiretest.Sum(list...)))
}

// changesServer is a hand-written server that sends changes, and the peer that
// was started with it.
type changesServer struct {
	*sptest.Listener
	peer *peer
}

func startChanges(t *testing.T, pubsub string, args ...string) *changesServer {
	t.Helper()
	s := &changesServer{Listener: sptest.Listen(t, pubsub)}
	survey, _ := startServer(t, "tcp://127.0.0.1:0", "tcp://127.0.0.1:0").URLs()
	s.peer = startPeer(t, languages["python"](t), append(announcing("peer", survey, s.URL), args...)...)
	return s
}

// asked accepts a subscriber that asks for changes.
func (s *changesServer) asked(t *testing.T) sptest.Conn {
	t.Helper()
	return accept(t, s.Listener, sptest.Pub, sptest.Changes)
}

// welcome is like asked. It checks the list that the subscriber has, which is
// "\x02" for none.
func (s *changesServer) welcome(t *testing.T, have string) sptest.Conn {
	t.Helper()
	c := s.asked(t)
	c.MustSend(t, welcome)
	if got := c.MustReceive(t); string(got) != have {
		t.Fatalf("the peer says % x, want % x", got, have)
	}
	return c
}

// plain accepts a plain subscriber after the given number of others have been
// refused.
func (s *changesServer) plain(t *testing.T, refused int) sptest.Conn {
	t.Helper()
	c, got := s.AcceptOnly(t, sptest.Pub, sptest.Sub)
	if got != refused {
		t.Errorf("the peer asked for changes %d times before it gave up, want %d", got, refused)
	}
	return c
}

// expect fails the test unless the peer prints this list next.
func (s *changesServer) expect(t *testing.T, names string) {
	t.Helper()
	if got, want := s.peer.next(), "peers: ["+strings.ReplaceAll(names, "|", " ")+"]"; got != want {
		t.Errorf("the peer printed %q, want %q", got, want)
	}
}

// quit ends the peer, and checks how often it has complained.
func (s *changesServer) quit(t *testing.T, complaints int) {
	t.Helper()
	s.peer.end(syscall.SIGTERM)
	if code, stderr := s.peer.wait(); code != 0 || strings.Count(stderr, "\n") != complaints {
		t.Errorf("exit code %d, stderr %q, want 0 and %d lines", code, stderr, complaints)
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	overEach(t, func(t *testing.T, _, pubsub string) {
		t.Parallel()
		s := startChanges(t, pubsub)
		c := s.welcome(t, "\x02")
		for _, test := range []struct{ message, want string }{
			// An incomplete list is better than none.
			{list(0, "b|d"), "b|d"},
			{change(0, "b|d", "a|b|c|d", "", "a|c"), "a|b|c|d"},
			{beat(0, "a|b|c|d"), ""},
			{beat(1, "d|c|b|a"), ""},
			{"\x80", ""},
			{"\xff|of a later format", ""},
			{change(1, "a|b|c|d", "a|größer", "b|c|d", "größer"), "a|größer"},
			{change(1, "a|größer", "a|größer", "", ""), ""},
			{list(1, "a|größer"), ""},
			{change(1, "a|größer", "", "a|größer", ""), ""},
		} {
			c.MustSend(t, test.message)
			if test.want != "" {
				s.expect(t, test.want)
			}
		}
		s.expect(t, "")
		c.MustSend(t, list(1, "a|b"))
		s.expect(t, "a|b")

		// A list outlives its connection, but does not count while it is held.
		c.Close()
		c = s.welcome(t, have("a|b"))
		c.MustSend(t, beat(2, "a|b"))
		c.MustSend(t, beat(3, "a|b"))
		c.MustSend(t, change(0, "a|b", "a|b|c|d", "", "c|d"))
		s.expect(t, "a|b|c|d")
		c.Close()
		c = s.welcome(t, have("a|b|c|d"))
		c.MustSend(t, change(1, "a|b|c|d", "b", "a|c|d", ""))
		s.expect(t, "b")
		c.Close()
		c = s.welcome(t, have("b"))
		c.MustSend(t, beat(1, "b"))
		c.MustSend(t, list(0, "a"))
		s.expect(t, "a")
		c.MustSend(t, list(1, ""))
		s.expect(t, "")
		c.Close()
		c = s.welcome(t, have(""))
		long := manyNames(100)
		c.MustSend(t, change(1, "", long, "", long))
		s.expect(t, long)
		s.quit(t, 1)
	})
}

// A list that an earlier connection has left, and that a change with the right
// sum does not fit, is dropped. The peer still asks for changes.
func TestOtherListOfTheSameSum(t *testing.T) {
	t.Parallel()
	s := startChanges(t, "tcp://127.0.0.1:0")
	c := s.welcome(t, "\x02")
	c.MustSend(t, list(1, "a|b"))
	s.expect(t, "a|b")
	c.Close()
	for _, misfit := range []string{change(1, "a|b", "a|b|d", "c", "d"), change(1, "a|b", "a|b|b", "", "b")} {
		c = s.welcome(t, have("a|b"))
		c.MustSend(t, beat(1, "a|b"))
		c.MustSend(t, misfit)
		awaitEnd(t, c)
		c = s.welcome(t, "\x02")
		c.MustSend(t, list(1, "e"))
		s.expect(t, "e")
		c.MustSend(t, list(1, "a|b"))
		s.expect(t, "a|b")
		c.Close()
	}
	s.peer.end(syscall.SIGTERM)
	if code, stderr := s.peer.wait(); code != 0 || strings.Count(stderr, "the same sum") != 2 {
		t.Errorf("exit code %d, stderr %q, want 0 and two wrong lists", code, stderr)
	}
}

// manyNames returns n names of 512 bytes.
func manyNames(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%0512d", i)
	}
	return strings.Join(names, "|")
}

// Messages that do not fit the current list are rejected, and change nothing.
func TestBadMessages(t *testing.T) {
	t.Parallel()
	const current = "b|d"
	const script = `
import sys
import peer

current = peer.CurrentList()
current.replace([b"b", b"d"])
for line in sys.stdin:
    try:
        current.take(bytes.fromhex(line))
    except peer.BadMessage:
        if current.names == [b"b", b"d"] and current.sum() == peer.sum_of(current.names):
            print("good")
            continue
    print("bad")
    current.replace([b"b", b"d"])
`
	var names []string
	var messages strings.Builder
	for name, message := range map[string]string{
		"empty":                             "",
		"kind 0":                            "\x00",
		"kind 6":                            "\x06\x00",
		"kind 127":                          "\x7f\x00",
		"a second WELCOME":                  welcome,
		"HAVE":                              have(current),
		"LIST without flags":                "\x03",
		"LIST with other flags":             list(4, "x"),
		"LIST with the held flag":           list(2, "x"),
		"CHANGE with the held flag":         change(2, current, "b|c|d", "", "c"),
		"LIST not in order":                 list(1, "y|x"),
		"LIST with a name twice":            list(1, "x|x"),
		"LIST with an empty name":           list(1, "x|"),
		"LIST with a bad name":              list(1, "x\x00"),
		"LIST with bad UTF-8":               list(1, "x\xff"),
		"LIST with a long name":             list(1, strings.Repeat("x", 513)),
		"CHANGE cut off":                    change(1, current, current, "", "")[:18],
		"CHANGE without a zero":             change(1, current, current, "", "")[:18] + "b",
		"CHANGE with two zeros":             change(1, current, "b|c|d", "", "c") + "\x00",
		"CHANGE with other flags":           change(0x81, current, "b|c|d", "", "c"),
		"CHANGE from another list":          change(1, "b", "b|c", "", "c"),
		"CHANGE to another list":            change(1, current, "b|c", "", "c"),
		"CHANGE removing what is not there": change(1, current, current, "c", ""),
		"CHANGE adding what is there":       change(1, current, current, "", "b"),
		"CHANGE doing both":                 change(1, current, current, "b", "b"),
		"CHANGE removed out of order":       change(1, current, "", "d|b", ""),
		"CHANGE added out of order":         change(1, current, "a|b|c|d", "", "c|a"),
		"CHANGE with an empty name":         change(1, current, "b|c|d", "", "|c"),
		"BEAT of another list":              beat(1, "b"),
		"BEAT cut off":                      beat(1, current)[:9],
		"BEAT with more":                    beat(1, current) + "\x00",
		"BEAT with other flags":             beat(4, current),
	} {
		names = append(names, name)
		fmt.Fprintf(&messages, "%x\n", message)
	}
	verdicts := strings.Fields(runPython(t, script, messages.String()))
	if len(verdicts) != len(names) {
		t.Fatalf("got %d verdicts, want %d", len(verdicts), len(names))
	}
	for i, name := range names {
		if verdicts[i] != "good" {
			t.Errorf("%s: not noticed in time", name)
		}
	}
}

// runPython runs a script that may import the peer, and returns what it prints.
func runPython(t *testing.T, script, stdin string) string {
	t.Helper()
	cmd := exec.Command(python(t), "-B", "-c", script)
	cmd.Dir = filepath.Join("..", "examples", "python")
	cmd.Stdin = strings.NewReader(stdin)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3: %v\n%s", err, &stderr)
	}
	return string(out)
}

// After a bad message the peer hangs up, complains once, and asks for whole
// lists.
func TestDistrust(t *testing.T) {
	t.Parallel()
	t.Run("BEAT of another list", func(t *testing.T) {
		t.Parallel()
		s := startChanges(t, "tcp://127.0.0.1:0")
		c := s.welcome(t, "\x02")
		c.MustSend(t, list(1, "b|d"))
		s.expect(t, "b|d")
		c.MustSend(t, beat(1, "b"))
		awaitEnd(t, c)
		// No list has come, but changes are not tried.
		s.plain(t, 0).Close()
		c = s.plain(t, 0)
		c.MustSend(t, "b|d|plain")
		s.expect(t, "b|d|plain")
		s.quit(t, 2)
	})
	for name, message := range map[string]string{
		"CHANGE of nothing": change(1, "", "a", "", "a"),
		"BEAT of nothing":   beat(1, ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startChanges(t, "tcp://127.0.0.1:0")
			c := s.welcome(t, "\x02")
			c.MustSend(t, message)
			awaitEnd(t, c)
			s.plain(t, 0).MustSend(t, "plain")
			s.expect(t, "plain")
			s.quit(t, 1)
		})
	}
	t.Run("a long message", func(t *testing.T) {
		t.Parallel()
		overEach(t, func(t *testing.T, _, pubsub string) {
			t.Parallel()
			s := startChanges(t, pubsub)
			c := s.welcome(t, "\x02")
			_, _ = c.Write(c.Header(64<<20 + 3))
			awaitEnd(t, c)
			s.plain(t, 0).MustSend(t, "plain")
			s.expect(t, "plain")
			s.quit(t, 1)
		})
	})
}

// If a server does not welcome the peer, the peer becomes a plain subscriber,
// at once and without a complaint.
func TestChangesRefused(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{
		"nothing":          "", // for 5 seconds
		"a later format":   "\x01\x02\x00\x00\x03\xe8",
		"another kind":     "\x03\x01\x00\x00\x03\xe8",
		"no beat":          "\x01\x01\x00\x00\x00\x00",
		"too slow a beat":  "\x01\x01\xff\xff\xff\xff",
		"a short message":  welcome[:5],
		"a long message":   welcome + "\x00",
		"a whole list":     "a|b|c",
		"an empty message": "\x00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startChanges(t, "tcp://127.0.0.1:0")
			c := s.asked(t)
			if name == "an empty message" {
				c.MustSend(t, "")
			} else if first != "" {
				c.MustSend(t, first)
			}
			awaitEnd(t, c)
			c = s.plain(t, 0)
			c.MustSend(t, "a|b")
			s.expect(t, "a|b")
			s.quit(t, 0)
		})
	}
	t.Run("hanging up", func(t *testing.T) {
		t.Parallel()
		overEach(t, func(t *testing.T, _, pubsub string) {
			t.Parallel()
			s := startChanges(t, pubsub)
			// The refusal is remembered.
			for i, refused := range []int{1, 0, 0} {
				c := s.plain(t, refused)
				names := fmt.Sprintf("%d|a", i)
				c.MustSend(t, names)
				s.expect(t, names)
				c.Close()
			}
			// When the plain form fails too, changes are asked for again.
			nc, err := s.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(nc, make([]byte, 8)); err != nil {
				t.Fatal(err)
			}
			nc.Close() // before the hello

			c := s.welcome(t, have("2|a")) // a plain list counts too
			c.MustSend(t, change(1, "2|a", "3|a", "2", "3"))
			s.expect(t, "3|a")
			s.quit(t, 1)
		})
	})
}

func TestPlain(t *testing.T) {
	t.Parallel()
	s := startChanges(t, "tcp://127.0.0.1:0", "-plain")
	for range 3 {
		s.plain(t, 0).Close()
	}
	c := s.plain(t, 0)
	c.MustSend(t, "a")
	s.expect(t, "a")
	s.quit(t, 1)
}

// TestMemory checks how long the peer in Python remembers what went wrong. The
// test controls the clock.
func TestMemory(t *testing.T) {
	t.Parallel()
	const script = `
import time
import peer

now = 1000.0
time.monotonic = lambda: now


class Server:
    """A connection whose server does what it is told to."""

    def __init__(self, failure):
        self.failure = failure

    def ask_for_changes(self):
        print("changes")
        if isinstance(self.failure, peer.Refused):
            raise self.failure

    def send(self, body):
        pass

    def shake_hands(self, mine, theirs):
        print("plain")

    def receive(self, limit):
        raise self.failure or ConnectionError


def attempt(after, failure):
    global now
    now += after
    watcher.current.replace(None)
    try:
        watcher.talk(Server(failure))
    except ConnectionError:
        pass


watcher = peer.Watcher(False)
watcher.show = lambda: None
attempt(0, peer.Refused())
attempt(0, peer.Refused())
attempt(59.9, None)
attempt(0.1, peer.Refused())  # as long as it takes to be remembered
attempt(0, None)
watcher.failed()
attempt(0, peer.BadMessage())
attempt(599.9, None)
attempt(0.1, peer.BadMessage())
`
	const want = "changes plain plain changes plain changes plain changes"
	if got := strings.Join(strings.Fields(runPython(t, script, "")), " "); got != want {
		t.Errorf("the peer tried %s, want %s", got, want)
	}
}
