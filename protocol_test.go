package gopherdiscovery_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
	"github.com/dahernan/gopherdiscovery/internal/wiretest"
)

// These are the kinds of messages, and the flags, of a subscription in changes.
const (
	kindWelcome = 1
	kindHave    = 2
	kindList    = 3
	kindChange  = 4
	kindBeat    = 5
	kindWait    = 0x80

	flagComplete = 1
	flagHeld     = 2
)

// step is one step of the session in changes that docs/protocol.md shows.
type step struct {
	line  int
	event string // or
	from  byte   // 'S' for the server, 'C' for the subscriber
	data  []byte // a hello, or a message with its length
}

// body is the message without its length.
func (s step) body() []byte { return s.data[8:] }

var (
	spoken      = regexp.MustCompile(`^([SC])> ((?:[0-9a-f]{2} )*[0-9a-f]{2})(?:  .*)?$`)
	peerEvent   = regexp.MustCompile(`^the peer "([^"]+)" (joins|leaves)$`)
	textBlock   = regexp.MustCompile("(?ms)^```text\n(.*?)^```")
	startOfSP   = []byte{0, 'S', 'P', 0}
	connecting  = "a subscriber connects"
	elsewhere   = regexp.MustCompile(`^the subscriber gets the list "([^"]+)" from another server`)
	surveyedAll = "the server has surveyed everyone"
)

// readSession reads the session from the document.
func readSession(t *testing.T) []step {
	t.Helper()
	doc := read(t, "docs/protocol.md")
	block := textBlock.FindStringSubmatchIndex(doc)
	if block == nil {
		t.Fatal("docs/protocol.md has no session")
	}
	var steps []step
	var open *step // not all bytes have been read
	number := strings.Count(doc[:block[2]], "\n")
	for line := range strings.Lines(doc[block[2]:block[3]]) {
		number++
		line = strings.TrimSuffix(line, "\n")
		if event, found := strings.CutPrefix(line, "-- "); found {
			steps = append(steps, step{line: number, event: event})
			continue
		}
		m := spoken.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("docs/protocol.md:%d: malformed: %q", number, line)
		}
		data, err := hex.DecodeString(strings.ReplaceAll(m[2], " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case open == nil:
			steps = append(steps, step{line: number, from: m[1][0], data: data})
			open = &steps[len(steps)-1]
		case open.from != m[1][0]:
			t.Fatalf("docs/protocol.md:%d: the message before has not ended", number)
		default:
			open.data = append(open.data, data...)
		}
		switch size := len(open.data); {
		case size < 8:
			t.Fatalf("docs/protocol.md:%d: neither a hello nor a length", number)
		case bytes.HasPrefix(open.data, startOfSP):
			open = nil
		case uint64(size-8) == binary.BigEndian.Uint64(open.data):
			open = nil
		case uint64(size-8) > binary.BigEndian.Uint64(open.data):
			t.Fatalf("docs/protocol.md:%d: the message is longer than it says", number)
		}
	}
	if open != nil {
		t.Fatal("docs/protocol.md: the last message has not ended")
	}
	return steps
}

// splitNames returns the names in a part of a message, which must be in order.
func splitNames(part string) ([]string, error) {
	if part == "" {
		return nil, nil
	}
	names := strings.Split(part, "|")
	for i, name := range names {
		if name == "" || i > 0 && names[i-1] >= name {
			return nil, fmt.Errorf("the names %q are not in order", names)
		}
	}
	return names, nil
}

// apply returns the list that results from a message of the server. It is
// strict.
func apply(held []string, body []byte) ([]string, error) {
	if body[0] == kindWait && len(body) == 1 && held == nil {
		return held, nil
	}
	kind, flags, rest := body[0], body[1], body[2:]
	if flags&^flagComplete != 0 && (flags&^flagComplete != flagHeld || kind != kindBeat) {
		return nil, fmt.Errorf("flags %#02x", flags)
	}
	sumIs := func(at int, names []string) error {
		if got, want := binary.BigEndian.Uint64(rest[at:]), wiretest.Sum(names...); got != want {
			return fmt.Errorf("sum %016x, want %016x of %q", got, want, names)
		}
		return nil
	}
	switch kind {
	case kindList:
		return splitNames(string(rest))
	case kindBeat:
		if len(rest) != 8 {
			return nil, fmt.Errorf("a BEAT of %d bytes", len(body))
		}
		return held, sumIs(0, held)
	case kindChange:
		if err := sumIs(0, held); err != nil {
			return nil, err
		}
		first, second, found := strings.Cut(string(rest[16:]), "\x00")
		if !found {
			return nil, fmt.Errorf("a CHANGE without 00")
		}
		removed, err := splitNames(first)
		if err != nil {
			return nil, err
		}
		added, err := splitNames(second)
		if err != nil {
			return nil, err
		}
		next := slices.Clone(held)
		for _, name := range removed {
			i := slices.Index(next, name)
			if i < 0 {
				return nil, fmt.Errorf("%q is removed from %q", name, held)
			}
			next = slices.Delete(next, i, i+1)
		}
		for _, name := range added {
			if slices.Contains(held, name) {
				return nil, fmt.Errorf("%q is added to %q", name, held)
			}
			next = append(next, name)
		}
		slices.Sort(next)
		return next, sumIs(8, next)
	}
	return nil, fmt.Errorf("kind %d", kind)
}

// The session in the document obeys the document's rules: its sums are right,
// and its lists name the peers that are there.
func TestProtocolSessionIsRight(t *testing.T) {
	t.Parallel()
	var there, held []string
	for _, step := range readSession(t) {
		if m := peerEvent.FindStringSubmatch(step.event); m != nil {
			there = slices.DeleteFunc(there, func(name string) bool { return name == m[1] })
			if m[2] == "joins" {
				there = append(there, m[1])
			}
			slices.Sort(there)
		}
		if m := elsewhere.FindStringSubmatch(step.event); m != nil {
			held = []string{m[1]}
		}
		if step.event != "" || bytes.HasPrefix(step.data, startOfSP) {
			continue
		}
		switch body := step.body(); {
		case step.from == 'C' && held == nil:
			if !bytes.Equal(body, []byte{kindHave}) {
				t.Errorf("line %d: got % x, want a HAVE of nothing", step.line, body)
			}
		case step.from == 'C':
			if want := binary.BigEndian.AppendUint64([]byte{kindHave}, wiretest.Sum(held...)); !bytes.Equal(body, want) {
				t.Errorf("line %d: got % x, want % x", step.line, body, want)
			}
		case body[0] != kindWelcome:
			var err error
			if held, err = apply(held, body); err != nil {
				t.Fatalf("line %d: %v", step.line, err)
			}
			isHeld := body[0] == kindBeat && body[1]&flagHeld != 0
			if !isHeld && !slices.Equal(held, there) {
				t.Errorf("line %d: the subscriber holds %q, want %q", step.line, held, there)
			}
		}
	}
	doc := read(t, "docs/protocol.md")
	for _, names := range [][]string{{}, {"a"}, {"http://10.0.0.1:8080"}, {"http://10.0.0.2:8080"},
		{"http://10.0.0.1:8080", "http://10.0.0.2:8080"}} {
		if want := fmt.Sprintf("| `%016x` |", wiretest.Sum(names...)); !strings.Contains(doc, want) {
			t.Errorf("docs/protocol.md lacks the sum %s of %q", want, names)
		}
	}
}

// TestProtocolSession plays the session in the document with a server.
func TestProtocolSession(t *testing.T) {
	t.Parallel()
	r := &replay{peers: make(map[string]*gopherdiscovery.DiscoveryClient)}
	steps := readSession(t)
	for i := range steps {
		switch step := &steps[i]; {
		case step.event != "":
			r.cause(t, step.event, steps[i:])
		case step.from == 'C':
			if _, err := r.conn.Write(step.data); err != nil {
				t.Fatalf("line %d: %v", step.line, err)
			}
		default:
			r.expect(t, step)
		}
	}
}

// replay plays a session with a server.
type replay struct {
	server *gopherdiscovery.DiscoveryServer
	mute   sptest.Conn // answers no survey, which keeps the server incomplete
	conn   sptest.Conn // the subscriber's
	peers  map[string]*gopherdiscovery.DiscoveryClient
	held   []string
}

// cause makes an event of the document happen. The beat of the server is taken
// from the steps that follow.
func (r *replay) cause(t *testing.T, event string, steps []step) {
	t.Helper()
	m := peerEvent.FindStringSubmatch(event)
	switch {
	case event == "the server starts":
		r.server = startServer(t, gopherdiscovery.Options{
			PollTime: beatOf(t, steps), ReturnTime: time.Second, SurveyTime: 10 * patience, Logger: quiet.Logger,
		})
		survey, _ := r.server.URLs()
		r.mute = sptest.Dial(t, survey, sptest.Respondent, sptest.Surveyor)
		r.mute.MustReceive(t) // it is known, and has been asked
	case event == connecting:
		_, pubsub := r.server.URLs()
		nc, err := net.Dial("tcp", strings.TrimPrefix(pubsub, "tcp://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		r.conn = sptest.Conn{Conn: nc}
	case event == "the connection ends":
		r.conn.Close()
		r.conn = sptest.Conn{}
	case event == surveyedAll:
		r.mute.Close()
	case event == "a beat passes", event == "the peers have had time to come back":
	case elsewhere.MatchString(event):
		r.held = elsewhere.FindStringSubmatch(event)[1:]
	case m != nil && m[2] == "joins":
		r.peers[m[1]] = announce(t, r.server, m[1])
		// Nothing in the session tells when the list is published.
		if r.conn.Conn == nil {
			sub := subscribe(t, r.server)
			names := make([]string, 0, len(r.peers))
			for name := range r.peers {
				names = append(names, name)
			}
			slices.Sort(names)
			await(t, sub.Changes(), names...)
			sub.Close()
		}
	case m != nil:
		r.peers[m[1]].Close()
		delete(r.peers, m[1])
	default:
		t.Fatalf("the test does not know how to make happen: %s", event)
	}
}

// beatOf returns the beat of the first WELCOME.
func beatOf(t *testing.T, steps []step) time.Duration {
	t.Helper()
	for _, step := range steps {
		if step.from == 'S' && len(step.data) == 14 && step.body()[0] == kindWelcome {
			return time.Duration(binary.BigEndian.Uint32(step.body()[2:])) * time.Millisecond
		}
	}
	t.Fatal("the session has no WELCOME")
	return 0
}

// expect reads the step that the document shows. It skips beats that come
// because the test is slower or faster than a beat.
func (r *replay) expect(t *testing.T, want *step) {
	t.Helper()
	r.conn.SetReadDeadline(time.Now().Add(patience))
	if bytes.HasPrefix(want.data, startOfSP) {
		got := make([]byte, len(want.data))
		if _, err := io.ReadFull(r.conn, got); err != nil || !bytes.Equal(got, want.data) {
			t.Fatalf("line %d: got % x, %v, want % x", want.line, got, err, want.data)
		}
		return
	}
	for {
		body, err := r.conn.Receive()
		if err != nil {
			t.Fatalf("line %d: %v, want % x", want.line, err, want.body())
		}
		equal := bytes.Equal(body, want.body())
		if equal && body[0] == kindWelcome {
			return
		}
		if len(body) == 0 || body[0] == kindWelcome {
			t.Fatalf("line %d:\ngot  % x,\nwant % x", want.line, body, want.body())
		}
		held, err := apply(r.held, body)
		if err != nil {
			t.Fatalf("line %d: got % x: %v", want.line, body, err)
		}
		if equal {
			r.held = held
			return
		}
		if body[0] != kindBeat && body[0] != kindWait {
			t.Fatalf("line %d:\ngot  % x,\nwant % x", want.line, body, want.body())
		}
	}
}
