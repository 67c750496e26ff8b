package wire

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/wiretest"
)

// modelSubscriber applies messages in the simplest way, using none of the
// library's code.
type modelSubscriber struct {
	cursor   Cursor
	names    map[string]bool // nil before the first list
	complete bool
	read     int // how many lists had been published when it read last
}

func (m *modelSubscriber) list() []string { return slices.Sorted(maps.Keys(m.names)) }

func (m *modelSubscriber) sum() uint64 { return wiretest.Sum(m.list()...) }

// split splits joined names and fails the test if they are not in ascending
// order.
func (m *modelSubscriber) split(t *testing.T, joined string) []string {
	t.Helper()
	if joined == "" {
		return nil
	}
	names := strings.Split(joined, "|")
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Fatalf("names do not ascend: %q", names)
	}
	return names
}

// apply applies a message and returns its kind.
func (m *modelSubscriber) apply(t *testing.T, message []byte) string {
	t.Helper()
	number := func(at int) uint64 { return binary.BigEndian.Uint64(message[at:]) }
	replace := func(names []string) {
		m.names = make(map[string]bool)
		for _, name := range names {
			m.names[name] = true
		}
	}
	if m.cursor.Plain {
		replace(m.split(t, string(message)))
		return "plain list"
	}
	if string(message) == "\x80" {
		return "wait"
	}
	held := message[1]&2 != 0
	m.complete = message[1] == 1
	switch message[0] {
	case 3:
		replace(m.split(t, string(message[2:])))
		return "list"
	case 4:
		if m.names == nil || m.sum() != number(2) {
			t.Fatalf("a change of a list with sum %#x, the subscriber has %q", number(2), m.list())
		}
		removed, added, _ := strings.Cut(string(message[18:]), "\x00")
		for _, name := range m.split(t, removed) {
			if !m.names[name] {
				t.Fatalf("%q is removed, but absent", name)
			}
			delete(m.names, name)
		}
		for _, name := range m.split(t, added) {
			if m.names[name] {
				t.Fatalf("%q is added, but present", name)
			}
			m.names[name] = true
		}
		if m.sum() != number(10) {
			t.Fatalf("after a change: got sum %#x, want %#x", m.sum(), number(10))
		}
		return "change"
	case 5:
		if m.names == nil || m.sum() != number(2) {
			t.Fatalf("a beat with sum %#x, the subscriber has %q", number(2), m.list())
		}
		if held {
			return "held beat"
		}
		return "beat"
	}
	t.Fatalf("a message of kind %d", message[0])
	return ""
}

// model is a changelog and the facts that it must agree with.
type model struct {
	rng         *rand.Rand
	log         Changelog
	published   int
	names       map[string]bool
	before      map[string]bool // of the list before
	subscribers []*modelSubscriber
	seen        map[string]int // how often each kind of step occurred
}

// publish publishes a list. It usually changes a few names, sometimes most of
// them or none, and sometimes goes back to the list before.
func (m *model) publish() {
	before := maps.Clone(m.names)
	changes := m.rng.IntN(4)
	switch m.rng.IntN(40) {
	case 0:
		changes = 100
	case 1, 2, 3, 4, 5:
		changes, m.names = 0, m.before
	}
	m.before = before
	for range changes {
		name := fmt.Sprintf("%02d-with-a-name-of-usual-length", m.rng.IntN(50))
		if m.names[name] {
			delete(m.names, name)
		} else {
			m.names[name] = true
		}
	}
	complete := m.log.complete
	if m.rng.IntN(10) == 0 {
		complete = !complete
	}
	changesKept, position := len(m.log.recent), m.log.position
	isNew := m.log.Publish(slices.Sorted(maps.Keys(m.names)), complete, false, time.Unix(1, 0))
	if m.log.position > position {
		m.published++
		if len(m.log.recent) <= changesKept {
			m.seen["changes are forgotten"]++
		}
	} else if isNew {
		m.seen["only complete or not"]++
	}
}

// connect connects a subscriber. Sometimes it reconnects with its list, and
// sometimes it has the list of another server.
func (m *model) connect(s *modelSubscriber) {
	var have *uint64
	switch m.rng.IntN(4) {
	case 0:
		*s = modelSubscriber{cursor: Cursor{Plain: true}}
	case 1:
		*s = modelSubscriber{}
	case 2:
		s.names = map[string]bool{"of another server": true}
		fallthrough
	default:
		if s.names != nil && !s.cursor.Plain {
			sum := s.sum()
			have = &sum
		}
	}
	s.complete = false
	s.cursor = NewCursor(s.cursor.Plain, have, time.Time{})
	if m.rng.IntN(4) > 0 {
		s.cursor.Greet()
	}
	if s.cursor.Plain {
		s.names = nil
	}
}

// read lets a subscriber read a message, and checks what it knows afterwards.
func (m *model) read(t *testing.T, s *modelSubscriber) {
	t.Helper()
	kind := "nothing"
	beat, had, waits := s.cursor.BeatDue, s.cursor.have, s.cursor.Waits
	position := s.cursor.position
	message := m.log.Next(&s.cursor, time.Unix(1, 0))
	if message != nil {
		kind = s.apply(t, message)
	}
	switch {
	case kind != "list" || position == nowhere:
	case position < m.log.oldest():
		kind += " in place of forgotten changes"
	default:
		kind += " in place of a longer change"
	}
	if had != nil && !waits {
		kind += " for one who comes with a list"
	}
	if kind == "change" && m.published > s.read+1 {
		kind += " of several lists"
	}
	if kind == "nothing" && m.published > s.read && !waits && s.names != nil {
		kind += " for there and back"
	}
	if waits {
		kind += " for one who waits"
		want := "nothing for one who waits"
		switch {
		case !beat || s.cursor.Plain:
		case had == nil:
			want = "wait for one who waits"
		default:
			want = "held beat for one who waits"
		}
		if kind != want {
			t.Fatalf("sent %s, want %s", kind, want)
		}
	}
	m.seen[kind]++
	if waits {
		return
	}
	s.read = m.published
	want := slices.Sorted(maps.Keys(m.names))
	if s.names == nil && len(want) == 0 && !m.log.complete {
		if (kind == "wait") != (beat && !s.cursor.Plain) {
			t.Fatalf("nothing is known yet: sent %s, beat due %t", kind, beat)
		}
		return
	}
	if s.names == nil || !slices.Equal(s.list(), want) {
		t.Fatalf("after %s: the subscriber has %q, want %q", kind, s.list(), want)
	}
	if s.complete != m.log.complete && !s.cursor.Plain {
		t.Fatalf("after %s: complete %t, want %t", kind, s.complete, m.log.complete)
	}
	if beat && message == nil && !s.cursor.Plain {
		t.Fatal("a beat was due, and not sent")
	}
	if again := m.log.Next(&s.cursor, time.Unix(1, 0)); again != nil {
		t.Fatalf("after %s: there is more to say: % x", kind, again)
	}
}

// Whatever the order of publishing and reading, each subscriber has the newest
// list once it has read.
func TestChangelogAgreesWithAModel(t *testing.T) {
	m := &model{rng: rand.New(rand.NewPCG(1, 2)), names: map[string]bool{}, before: map[string]bool{}, seen: make(map[string]int)}
	for range 12 {
		s := new(modelSubscriber)
		m.connect(s)
		m.subscribers = append(m.subscribers, s)
	}
	for range 60000 {
		// The first subscribers read often, and the last ones seldom.
		s := m.subscribers[min(m.rng.IntN(len(m.subscribers)), m.rng.IntN(len(m.subscribers)))]
		switch m.rng.IntN(20) {
		case 0, 1, 2, 3, 4, 5:
			m.publish()
		case 6:
			m.connect(s)
		case 7:
			s.cursor.BeatDue = true
		case 8, 9:
			s.cursor.Greet()
		default:
			m.read(t, s)
		}
	}
	for _, kind := range []string{
		"plain list", "list", "change", "beat", "nothing",
		"change of several lists", "nothing for there and back", "nothing for one who waits", "wait for one who waits", "held beat for one who waits",
		"beat for one who comes with a list", "change for one who comes with a list", "list for one who comes with a list",
		"list in place of forgotten changes", "list in place of a longer change",
		"changes are forgotten", "only complete or not",
	} {
		if m.seen[kind] < 10 {
			t.Errorf("%s: occurred %d times, want at least 10", kind, m.seen[kind])
		}
	}
}
