package wire

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/testclock"
	"github.com/dahernan/gopherdiscovery/internal/wiretest"
)

// A script publishes lists (complete ones end in an exclamation mark), connects
// a subscriber that asks for "plain" lists or for "changes" and may already
// have a list, or one that "waits", lets it "go" on, says that a "beat" is due,
// and reads the "next" message.
func TestNext(t *testing.T) {
	for _, test := range []struct{ name, script, want string }{
		{"plain: no list yet", "plain, next", "nothing"},
		{"plain: an incomplete list", "publish a b, plain, next, publish! a b, next", "plain a b, nothing"},
		{"plain: incomplete lists", "publish a, plain, next, publish, next, publish! b, next", "plain a, plain, plain b"},
		{"plain: an empty list", "publish!, plain, next, next", "plain, nothing"},
		{"plain: each change", "publish! a, plain, next, publish! a b, next, publish!, next", "plain a, plain a b, plain"},
		{"plain: several changes", "publish! a, plain, next, publish! b, publish! c, next", "plain a, plain c"},
		{"plain: there and back", "publish! a b c, plain, next, publish! a b, publish! a b c, next", "plain a b c, nothing"},
		{"plain: no beats", "publish! a, plain, next, beat, next", "plain a, nothing"},

		{"nothing known yet", "changes, next, publish, next, beat, next", "nothing, nothing, wait"},
		{"an empty list", "publish!, changes, next, next", "list!, nothing"},
		{"an incomplete list", "publish a b, changes, next, next", "list a b, nothing"},
		{"incomplete changes", "publish a b, changes, next, publish a b c, next, publish a b, next", "list a b, change +c, change -c"},
		{"an incomplete list empties", "publish a b c, changes, next, publish, next", "list a b c, list"},
		{"the list becomes complete", "publish a b, changes, next, publish! a b, next, next", "list a b, beat!, nothing"},
		{"complete with a change", "publish a b, changes, next, publish! a b c, next, beat, next", "list a b, change! +c, beat!"},
		{"a join", "publish! a b, changes, next, publish! a b c, next", "list! a b, change! +c"},
		{"a leave", "publish! a b c, changes, next, publish! a c, next", "list! a b c, change! -b"},
		{"both", "publish! a b c, changes, next, publish! a b d, next", "list! a b c, change! -c +d"},
		{"the net of several changes", "publish! a b c g h, changes, next, publish! a b c d g h, publish! a b d e g h, publish! a b d f g h, next",
			"list! a b c g h, change! -c +d +f"},
		{"there and back", "publish! a b c, changes, next, publish! a b, publish! a b c, next, next", "list! a b c, nothing, nothing"},
		{"there and back when a beat is due", "publish! a b c, changes, next, publish! a b, publish! a b c, beat, next", "list! a b c, beat!"},
		{"a change after there and back", "publish! a b c, changes, next, publish! a b, publish! a b c, next, publish! a b c d, next", "list! a b c, nothing, change! +d"},
		{"a beat", "publish! a, changes, next, beat, next, next", "list! a, beat!, nothing"},
		{"a beat is spared by a change", "publish! a b c, changes, next, beat, publish! a b, next, next", "list! a b c, change! -c, nothing"},
		{"an incomplete beat", "publish a, changes, next, beat, next", "list a, beat"},
		{"no change longer than the list", "publish! a b c d, changes, next, publish! d, next", "list! a b c d, list! d"},

		{"has the present list", "publish! a b, changes a b, next, next", "beat!, nothing"},
		{"has the present list, incomplete", "publish a b, changes a b, next, next, publish! a b, next", "beat, nothing, beat!"},
		{"has a list of before, incomplete", "publish a b c, publish a b, changes a b c, next", "change -c"},
		{"has a list of before", "publish! a b c, publish! a b, publish! a b d, changes a b c, next", "change! -c +d"},
		{"has the list before this one", "publish! a b c, publish! a b, publish! a b d, changes a b, next", "change! +d"},
		{"has an unknown list", "publish! a b c, changes x, next, publish! a b, next", "list! a b c, change! -c"},
		{"has an unknown list, incomplete", "publish a b c, changes x, next, publish! a b c, next", "list a b c, beat!"},
		{"has the empty list", "publish!, changes none, next", "beat!"},
		{"has the empty list, incomplete", "changes none, next, publish!, next", "beat, beat!"},
		{"has the empty list of before", "publish! a b, changes none, next", "list! a b"},
		{"has a list that is forgotten", "publish! a b c, publish! d e f, publish! g, changes a b c, next", "list! g"},
		{"had the present list before", "publish! a b c, publish! a b, publish! a b c, changes a b c, next", "beat!"},
		{"has a list that is not followed", "publish! a b c g h, forget! a b c g, changes a b c g h, next", "change! -h"},
		{"waits with a list", "publish a b, waits x, next, next, beat, next", "held, nothing, held"},
		{"waits with a list, complete", "publish! a b, waits x, next, next", "held!, nothing"},
		{"waits with the present list", "publish! a b, waits a b, next, go, next", "held!, beat!"},
		{"waits while the list changes", "publish! a b c, waits a b c, next, publish! a b, next, beat, next, go, next", "held!, nothing, held!, change! -c"},
		{"waits while the list becomes complete", "publish a b, waits x, next, publish! a b, next, go, next, next", "held, nothing, list! a b, nothing"},
		{"waits for a first list", "publish a b, waits, next, publish a b c, next, beat, next, go, next, next", "nothing, nothing, wait, list a b c, nothing"},
		{"waits for a name", "waits, go, next, publish a, next, next", "nothing, list a, nothing"},
		{"waits, and its list is the present one, incomplete", "publish a b, waits a b, next, go, next, next", "held, beat, nothing"},
		{"has read what is forgotten", "publish! a b c, changes, next, publish! d e f, publish! g, next", "list! a b c, list! g"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var l Changelog
			var c Cursor
			var got []string
			now := testclock.New().At(0)
			for _, step := range strings.Split(test.script, ", ") {
				do, what, _ := strings.Cut(step, " ")
				switch do {
				case "publish":
					l.Publish(wiretest.Names(what), false, false, now)
				case "publish!":
					l.Publish(wiretest.Names(what), true, false, now)
				case "forget!":
					l.Publish(wiretest.Names(what), true, true, now)
				case "plain":
					c = NewCursor(true, nil, time.Time{})
					c.Waits = false
				case "changes", "waits":
					c = NewCursor(false, nil, time.Time{})
					if what != "" {
						sum := wiretest.Sum(wiretest.Names(strings.TrimPrefix(what, "none"))...)
						c = NewCursor(false, &sum, time.Time{})
					}
					c.Waits = do == "waits"
				case "go":
					c.Greet()
				case "beat":
					c.BeatDue = true
				case "next":
					message := l.Next(&c, now)
					got = append(got, wiretest.Told(t, message, c.Plain))
				default:
					t.Fatalf("unknown step %q", step)
				}
			}
			if got := strings.Join(got, ", "); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestPublishTellsWhatIsNew(t *testing.T) {
	var l Changelog
	for _, test := range []struct {
		list     string
		complete bool
		want     bool
	}{
		{"", false, false}, {"a", false, true}, {"a", false, false}, {"a", true, true}, {"a", true, false},
		{"", true, true}, {"", true, false}, {"a b", true, true}, {"b", true, true},
	} {
		if got := l.Publish(wiretest.Names(test.list), test.complete, false, time.Time{}); got != test.want {
			t.Errorf("%q, complete %t: got %t, want %t", test.list, test.complete, got, test.want)
		}
	}
}

// A cursor's beat is timed from the last message that it was sent.
func TestBeats(t *testing.T) {
	clock, beat := testclock.New(), 800*ms
	var l Changelog
	l.Publish(wiretest.Names("a"), true, false, clock.At(0))
	c := NewCursor(false, nil, clock.At(0))
	c.Waits = false
	clock.Expect(t, "nextBeat of a newcomer", c.NextBeat(beat), 10000)
	l.Next(&c, clock.At(50))
	clock.Expect(t, "nextBeat after a message", c.NextBeat(beat), 850)
	l.Next(&c, clock.At(100)) // there was nothing to send
	clock.Expect(t, "nextBeat after nothing", c.NextBeat(beat), 850)
	if c.MarkBeat(clock.At(749), beat) || c.BeatDue {
		t.Error("quiet more than an eighth of a beat early")
	}
	if !c.MarkBeat(clock.At(750), beat) || !c.BeatDue {
		t.Error("not quiet an eighth of a beat early")
	}
	clock.Expect(t, "nextBeat before the beat is sent", c.NextBeat(beat), 1550)
	if got := wiretest.Told(t, l.Next(&c, clock.At(760)), false); got != "beat!" {
		t.Errorf("got %s, want beat!", got)
	}
	clock.Expect(t, "nextBeat after a beat", c.NextBeat(beat), 1560)
}

// A waiting subscriber that came with a list is sent beats from the start on.
// One without a list is told now and then to wait, and one of whole lists
// nothing.
func TestBeatsOfTheWaiting(t *testing.T) {
	clock, beat, sum := testclock.New(), 800*ms, uint64(7)
	var l Changelog
	with, without, plain := NewCursor(false, &sum, clock.At(0)), NewCursor(false, nil, clock.At(0)), NewCursor(true, nil, clock.At(0))
	for _, step := range []struct {
		at                        int
		with, without, wholeLists string
	}{{10, "held", "nothing", "nothing"}, {690, "nothing", "nothing", "nothing"}, {800, "held", "nothing", "nothing"}, {9890, "held", "nothing", "nothing"}, {9900, "nothing", "wait", "nothing"}} {
		for c, want := range map[*Cursor]string{&with: step.with, &without: step.without, &plain: step.wholeLists} {
			if step.at > 10 {
				c.MarkBeat(clock.At(step.at), beat)
			}
			if got := wiretest.Told(t, l.Next(c, clock.At(step.at)), false); got != want {
				t.Errorf("after %d ms: got %s, want %s", step.at, got, want)
			}
		}
	}
	without.Greet()
	if got := wiretest.Told(t, l.Next(&without, clock.At(9910)), false); got != "nothing" {
		t.Errorf("greeted while there is no list: got %s, want nothing", got)
	}
}

// The current list follows from one that was published before, unless most of
// its names have left, or it is forgotten.
func TestFollows(t *testing.T) {
	for _, test := range []struct {
		name, published, have string // lists, and a star where those before are forgotten
		want                  bool
	}{
		{"nothing published", "", "", true},
		{"nothing published, an unknown list", "", "a", false},
		{"the same", "a b", "a b", true},
		{"unknown", "a b", "a b c", false},
		{"joins", "a, a b, a b c d e f g", "a", true},
		{"two of two leave", "a b, c d e", "a b", true},
		{"two of three leave", "a b c, a d e f", "a b c", true},
		{"three of five leave", "a b c d e, a b f g h, a b f g h", "a b c d e", false},
		{"three of six leave", "a b c d e f, a b c", "a b c d e f", true},
		{"four of six leave, others join", "a b c d e f, a b g h k l", "a b c d e f", false},
		{"most leave, and some come back", "a b c d e f, a b g h k l, a b c g h k l", "a b c d e f", true},
		{"the empty list", "a b, , a b c d", "", true},
		{"forgotten", "a b c, * a b c d", "a b c", false},
		{"the same, forgotten", "a b c, * a b c", "a b c", true},
		{"published since", "a b c, * a b c d, a b c d e", "a b c d", true},
		{"forgotten, but the list is back", "a b c, * a b c d, a b c", "a b c", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			var l Changelog
			for list := range strings.SplitSeq(test.published, ", ") {
				list, forget := strings.CutPrefix(list, "* ")
				l.Publish(wiretest.Names(list), true, forget, time.Time{})
				l.follows(wiretest.Sum(wiretest.Names(test.have)...))
			}
			if got := l.follows(wiretest.Sum(wiretest.Names(test.have)...)); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

// Subscribers at the same position share a message, whatever other subscribers
// read in between.
func TestMessagesAreShared(t *testing.T) {
	var l Changelog
	base := wiretest.Names("a b c d e f")
	l.Publish(base[:5], true, false, time.Time{})
	old := Cursor{position: nowhere}
	l.Next(&old, time.Time{})
	l.Publish(base, true, false, time.Time{})
	behind := Cursor{position: nowhere}
	l.Next(&behind, time.Time{})
	l.Publish(base[1:], true, false, time.Time{})
	for name, from := range map[string]Cursor{
		"one change behind": behind, "two changes behind": old, "new": {position: nowhere}, "plain": {position: nowhere, Plain: true},
	} {
		t.Run(name, func(t *testing.T) {
			var first []byte
			for range 3 {
				for _, between := range []Cursor{{position: nowhere}, {position: nowhere - 1}, old} {
					l.Next(&between, time.Time{})
				}
				c := from
				message := l.Next(&c, time.Time{})
				if first == nil {
					first = message
				}
				if &message[0] != &first[0] {
					t.Fatal("a message was encoded twice")
				}
			}
		})
	}
}

// The changes that are kept take no more bytes than the list, or than a
// kilobyte, and there are at most 256 of them.
func TestChangelogForgets(t *testing.T) {
	check := func(t *testing.T, l *Changelog) {
		t.Helper()
		bytes := 0
		for _, c := range l.recent {
			bytes += wireSize(c.removed) + wireSize(c.added)
		}
		if l.bytes != bytes || l.size != wireSize(l.list) || l.sum != wiretest.Sum(l.list...) {
			t.Fatalf("got %d bytes of changes, a list of %d and sum %#x, want %d, %d and %#x",
				l.bytes, l.size, l.sum, bytes, wireSize(l.list), wiretest.Sum(l.list...))
		}
		if bytes > max(l.size, 1024) || len(l.recent) > 256 {
			t.Fatalf("keeps %d changes of %d bytes with a list of %d bytes", len(l.recent), bytes, l.size)
		}
	}
	t.Run("by number", func(t *testing.T) {
		var base []string
		for i := range 2000 {
			base = append(base, fmt.Sprintf("%04d", i))
		}
		var l Changelog
		var before []uint64
		for i := range 600 {
			before = append(before, l.sum)
			l.Publish(base[i%2:1000+i], true, false, time.Time{})
			check(t, &l)
		}
		if got := len(l.recent); got != 256 {
			t.Errorf("keeps %d changes, want 256", got)
		}
		for at, want := range map[int]int{599: 599, 344: 344, 343: nowhere, 1: nowhere} {
			if got := l.find(before[at]); got != want {
				t.Errorf("position of list %d of 600: got %d, want %d", at, got, want)
			}
		}
	})
	t.Run("by bytes", func(t *testing.T) {
		var l Changelog
		for _, step := range []struct {
			list string
			kept int
		}{
			{"a b c d", 1}, {"a b c", 1}, {"a b", 2}, {"a b c", 3}, {"a b c d", 4}, {"a b c d f", 5}, {"a b c f g", 4}, {"f", 0}, {"g", 1}, {"", 1}, {"a", 2},
		} {
			var names []string
			for _, letter := range strings.Fields(step.list) {
				names = append(names, strings.Repeat(letter, 500))
			}
			l.Publish(names, true, false, time.Time{})
			check(t, &l)
			if got := len(l.recent); got != step.kept {
				t.Errorf("after %q: keeps %d changes, want %d", step.list, got, step.kept)
			}
		}
	})
}

// However many positions are read from, the messages kept for sharing take no
// more memory than a list.
func TestSharedMessagesAreBounded(t *testing.T) {
	var l Changelog
	var base []string
	for i := range 1000 {
		base = append(base, fmt.Sprintf("%04d", i))
	}
	var cursors []Cursor
	for i := range 200 {
		l.Publish(base[i:], true, false, time.Time{})
		c := Cursor{position: nowhere}
		l.Next(&c, time.Time{})
		cursors = append(cursors, c)
	}
	shared := 0
	for i := range cursors {
		c := cursors[i]
		message := l.Next(&c, time.Time{})
		bytes := 0
		for _, s := range l.steps {
			if &s.message[0] != &l.whole[0] {
				bytes += len(s.message)
			}
		}
		if bytes > len(l.encodedList()) || len(l.steps) > maxChanges+1 {
			t.Fatalf("%d messages of %d bytes are kept, with a list of %d", len(l.steps), bytes, len(l.encodedList()))
		}
		if again := l.Next(&cursors[i], time.Time{}); message != nil && &again[0] == &message[0] {
			shared++
		}
	}
	if want := len(cursors) - 1; shared != want {
		t.Errorf("%d messages were shared, want %d", shared, want)
	}
	l.Publish(slices.Clone(base), true, false, time.Time{})
	if len(l.steps) > 0 {
		t.Errorf("%d messages about an earlier list are kept", len(l.steps))
	}
}

// Subscribers that come with sums that no list has are not remembered while the
// list stays the same.
func TestMadeUpSumsAreForgotten(t *testing.T) {
	var l Changelog
	l.Publish([]string{"a"}, true, false, time.Now())
	for sum := range uint64(10 * maxFollowed) {
		if l.follows(sum + 1) {
			t.Fatalf("the list follows from one with the sum %d", sum+1)
		}
	}
	if len(l.followed) > maxFollowed {
		t.Errorf("%d sums are remembered, want at most %d", len(l.followed), maxFollowed)
	}
}
