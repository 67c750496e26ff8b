//go:build unix

package interop_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
)

// inEach runs a test for the peer in each language.
func inEach(t *testing.T, test func(t *testing.T, command []string)) {
	t.Parallel()
	for language, get := range languages {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			test(t, get(t))
		})
	}
}

// onEach runs a test for each language and transport.
func onEach(t *testing.T, test func(t *testing.T, command []string, survey, pubsub string)) {
	inEach(t, func(t *testing.T, command []string) {
		overEach(t, func(t *testing.T, survey, pubsub string) {
			t.Parallel()
			test(t, command, survey, pubsub)
		})
	})
}

func TestJoinWatchLeave(t *testing.T) {
	onEach(t, func(t *testing.T, command []string, survey, pubsub string) {
		server := startServer(t, survey, pubsub)
		survey, pubsub = server.URLs()
		announce(t, survey, "go")
		lists := subscribe(t, pubsub)
		for _, test := range []struct {
			sig  syscall.Signal
			code int
		}{{syscall.SIGTERM, 0}, {syscall.SIGINT, 0}, {syscall.SIGKILL, -1}} {
			p := startPeer(t, command, announcing("http://10.0.0.3:8080", survey, pubsub)...)
			await(t, lists, "go", "http://10.0.0.3:8080")
			p.awaitList("go", "http://10.0.0.3:8080")
			visitor := announce(t, survey, "größer")
			p.awaitList("go", "größer", "http://10.0.0.3:8080")
			visitor.Close()
			p.awaitList("go", "http://10.0.0.3:8080")
			p.end(test.sig)
			await(t, lists, "go")
			if code, stderr := p.wait(); code != test.code || stderr != "" {
				t.Errorf("after %v: exit code %d, stderr %q, want %d and nothing", test.sig, code, stderr, test.code)
			}
		}
	})
}

// Two peers of each language see the same list as a client in Go, and leave.
func TestTogether(t *testing.T) {
	t.Parallel()
	server := startServer(t, "tcp://127.0.0.1:0", "tcp://127.0.0.1:0")
	survey, pubsub := server.URLs()
	lists := subscribe(t, pubsub)
	announce(t, survey, "go")
	names := []string{"go"}
	var peers []*peer
	for language, get := range languages {
		command := get(t)
		for _, name := range []string{language + "-1", language + "-2"} {
			names = append(names, name)
			peers = append(peers, startPeer(t, command, announcing(name, survey, pubsub)...))
		}
	}
	last := peers[len(peers)-1]
	slices.Sort(names)
	for _, p := range peers {
		p.awaitList(names...)
	}
	for _, p := range peers[:len(peers)-1] {
		p.end(syscall.SIGTERM)
	}
	left := []string{last.cmd.Args[slices.Index(last.cmd.Args, "-name")+1], "go"}
	slices.Sort(left)
	last.awaitList(left...)
	last.end(syscall.SIGKILL)
	await(t, lists, "go")
}

// A server that has just started sends nothing to peers that take whole lists
// until it is complete, or PollTime has passed.
func TestFirstList(t *testing.T) {
	onEach(t, func(t *testing.T, command []string, survey, pubsub string) {
		if strings.HasSuffix(command[len(command)-1], ".py") {
			command = append(slices.Clone(command), "-plain")
		}
		if strings.HasPrefix(survey, "tcp:") {
			survey, pubsub = freePorts(t)
		}
		p := startPeer(t, command, announcing("peer", survey, pubsub)...)
		time.Sleep(2 * time.Second) // a peer may need that to start
		opt := ourOptions
		// The peers dial again within a second, or somewhat later on a busy
		// machine.
		opt.PollTime = 6 * time.Second
		opt.ReturnTime = 2 * patience // it does not become complete
		start := time.Now()
		startServerWith(t, survey, pubsub, opt)
		// This subscriber is told at once.
		await(t, subscribe(t, pubsub), "peer")
		if got, want := p.next(), "peers: [peer]"; got != want {
			t.Errorf("the first list: got %q, want %q", got, want)
		}
		if took := time.Since(start); took < opt.PollTime {
			t.Errorf("a list came after %v, want at least %v", took, opt.PollTime)
		}
	})
}

// A peer may start before its server, and outlives it.
func TestRestart(t *testing.T) {
	onEach(t, func(t *testing.T, command []string, survey, pubsub string) {
		if strings.HasPrefix(survey, "tcp:") {
			survey, pubsub = freePorts(t)
		}
		p := startPeer(t, command, announcing("peer", survey, pubsub)...)
		// A list that the peer has printed before would not show that it is
		// back.
		for _, name := range []string{"visitor-1", "visitor-2"} {
			server := startServer(t, survey, pubsub)
			await(t, subscribe(t, pubsub), "peer")
			visitor := announce(t, survey, name)
			p.awaitList("peer", name)
			server.Close()
			visitor.Close()
		}
		p.end(syscall.SIGTERM)
		if code, stderr := p.wait(); code != 0 {
			t.Errorf("exit code %d, stderr %q, want 0", code, stderr)
		}
	})
}

// freePorts returns URLs that can be bound, left and bound again. They are on a
// loopback address from which nothing connects, so no connection takes the port
// meanwhile.
func freePorts(t *testing.T) (survey, pubsub string) {
	t.Helper()
	server, err := gopherdiscovery.Server("tcp://127.0.0.2:0", "tcp://127.0.0.2:0", ourOptions)
	if err != nil {
		t.Skipf("this system has no 127.0.0.2: %v", err)
	}
	survey, pubsub = server.URLs()
	server.Close()
	return survey, pubsub
}

func TestBadArguments(t *testing.T) {
	inEach(t, func(t *testing.T, command []string) {
		for _, args := range [][]string{
			{},
			{"-name"},
			{"-name", ""},
			{"-name", "a|b"},
			{"-name", "a\nb"},
			{"-name", "a\u0080b"},
			{"-name", "a\xff"},
			{"-name", "a\xed\xa0\x80"}, // a surrogate
			{"-name", "a\xc1\xa1"},     // "a" in two bytes
			{"-name", strings.Repeat("ä", 257)},
			{"-nonsense", "x", "-name", "a"},
			{"-name", "a", "word"},
			{"-name", "a", "-server", "nonsense"},
			{"-name", "a", "-server", "http://127.0.0.1:1"},
			{"-name", "a", "-pubsub", "tcp://127.0.0.1"},
			{"-name", "a", "-pubsub", "tcp://127.0.0.1:0"},
			{"-name", "a", "-server", "tcp://127.0.0.1:65536"},
			{"-name", "a", "-pubsub", "tcp://:40007"},
			{"-name", "a", "-pubsub", "tcp://a:1,tcp://b:1"},
			{"-name", "a", "-pubsub", "ipc://"},
			{"-name", "a", "-server", "ipc:///" + strings.Repeat("x", 200)},
		} {
			p := startPeer(t, command, args...)
			code, stderr := p.wait()
			if code != 2 || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "peer") {
				t.Errorf("%q: exit code %d, stderr %q, want 2 and one line", args, code, stderr)
			}
		}
	})
}

// A name of 512 bytes is the longest one allowed, and the list contains it.
func TestLongNames(t *testing.T) {
	inEach(t, func(t *testing.T, command []string) {
		survey, pubsub := startServer(t, "tcp://127.0.0.1:0", "tcp://127.0.0.1:0").URLs()
		name := strings.Repeat("€", 170) + "ab"
		startPeer(t, command, announcing(name, survey, pubsub)...).awaitList(name)
	})
}

// What a server sends is checked. Only lists that are new are printed. Surveys
// are answered with their header, hops included, whatever follows it.
func TestOddServer(t *testing.T) {
	onEach(t, func(t *testing.T, command []string, survey, pubsub string) {
		s, p := sptest.Listen(t, survey), sptest.Listen(t, pubsub)
		peer := startPeer(t, command, announcing("peer", s.URL, p.URL)...)
		asked := accept(t, s, sptest.Surveyor, sptest.Respondent)
		told := accept(t, p, sptest.Pub, sptest.Sub)
		for _, test := range []struct{ survey, answer string }{
			{"\x80\x00\x00\x01", "\x80\x00\x00\x01peer"},
			{"\xff\xff\xff\xff|body", "\xff\xff\xff\xffpeer"},
			{"\x00\x00\x00\x07\x7f\x00\x00\x01\x80\x00\x00\x02", "\x00\x00\x00\x07\x7f\x00\x00\x01\x80\x00\x00\x02peer"},
		} {
			ask(t, asked, test.survey, test.answer)
		}
		for _, test := range []struct{ list, want string }{
			{"b|a|b", "peers: [a b]"},
			{"a|b", ""}, // a repetition
			{"\xff|\n||" + strings.Repeat("x", 513), ""}, // no valid name
			{"a\x1b[2J|a|\u009f|b\x7f|\xc0\xaf|ö", "peers: [a ö]"},
			{"", "peers: []"},
			{"", ""},
			// This is a list of 2.5 MiB.
			{strings.Repeat("name|", 1<<19) + "z", "peers: [name z]"},
		} {
			told.MustSend(t, test.list)
			if test.want == "" {
				continue // the next list shows that nothing was printed
			}
			if got := peer.next(); got != test.want {
				t.Errorf("list %.100q: got %q, want %q", test.list, got, test.want)
			}
		}
		// A peer that receives too long a message hangs up, and comes back.
		told.Write(told.Header(64<<20 + 1))
		told = accept(t, p, sptest.Pub, sptest.Sub)
		told.MustSend(t, "again")
		if got := peer.next(); got != "peers: [again]" {
			t.Errorf("on the second connection: got %q", got)
		}
		asked.Write(asked.Header(4<<10 + 1))
		asked = accept(t, s, sptest.Surveyor, sptest.Respondent)
		ask(t, asked, "\x80\x00\x00\x03", "\x80\x00\x00\x03peer")
		// A server that speaks another protocol is disconnected, and tried
		// again.
		asked.Close()
		for range 2 {
			awaitEnd(t, accept(t, s, sptest.Pub, sptest.Respondent))
		}
	})
}
