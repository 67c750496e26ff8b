package gopherdiscovery

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// In these tests a letter stands for a name. On the wire that letter is
// repeated many times, so that a change is shorter than a list.
const nameLength = 40

func longNames(letters string) []string {
	names := []string{}
	for _, letter := range strings.Fields(letters) {
		names = append(names, strings.Repeat(letter, nameLength))
	}
	return names
}

func letters(names []string) (all string) {
	for _, name := range names {
		all += " " + name[:1]
	}
	return all
}

// digestByHand computes the same as digestOf from the names.
func digestByHand(names []string) string {
	digest := sha256.Sum256([]byte(strings.Join(names, "|")))
	return string(digest[:])
}

// told describes a message, with an exclamation mark if the list is complete.
func told(t *testing.T, message []byte, plain bool) string {
	t.Helper()
	if message == nil {
		return "nothing"
	}
	if plain {
		names, invalid := decodeList(message)
		if invalid > 0 {
			t.Errorf("the plain list %q has %d invalid names", message, invalid)
		}
		return "plain" + letters(names)
	}
	u, err := decodeUpdate(message)
	if err != nil {
		t.Fatalf("% x: %v", message, err)
	}
	what := map[byte]string{kindList: "list", kindChange: "change", kindBeat: "beat", kindDigest: "digest"}[u.kind]
	if u.complete {
		what += "!"
	}
	what += letters(u.names)
	for _, name := range u.removed {
		what += " -" + name[:1]
	}
	for _, name := range u.added {
		what += " +" + name[:1]
	}
	return what
}

// A script publishes lists (complete ones end in an exclamation mark), connects
// a subscriber that asks for "plain" lists or for "changes" and may already
// have a list, says that a "beat" is due, lets the subscriber "verify" its list
// after a beat, and reads the "next" message.
func TestNext(t *testing.T) {
	for _, test := range []struct{ name, script, want string }{
		{"plain: no list yet", "plain, next", "nothing"},
		{"plain: an incomplete list waits", "publish a b, plain, next, publish! a b, next, next", "nothing, plain a b, nothing"},
		{"plain: an empty list", "publish!, plain, next, next", "plain, nothing"},
		{"plain: each change", "publish! a, plain, next, publish! a b, next, publish!, next", "plain a, plain a b, plain"},
		{"plain: several changes", "publish! a, plain, next, publish! b, publish! c, next", "plain a, plain c"},
		{"plain: there and back", "publish! a b c, plain, next, publish! a b, publish! a b c, next", "plain a b c, nothing"},
		{"plain: no beats", "publish! a, plain, next, beat, next", "plain a, nothing"},
		{"plain: after a halt", "publish! a, plain, next, publish a, publish b, next, publish! b, next", "plain a, nothing, plain b"},
		{"plain: unchanged after a halt", "publish! a, plain, next, publish a, publish! a, next", "plain a, nothing"},

		{"nothing known yet", "changes, next, publish, next, beat, next", "nothing, nothing, nothing"},
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
		{"only beats in a halt", "publish! a b, changes, next, publish a b, next, beat, next", "list! a b, nothing, beat"},
		{"the end of a halt", "publish! a b, changes, next, publish a b, beat, next, publish! a b, next", "list! a b, beat, beat!"},
		{"nothing happened in a halt", "publish! a b, changes, next, publish a b, publish! a b, next", "list! a b, nothing"},
		{"a change in a halt", "publish! a b c, changes, next, publish a b, next, publish a b d, publish! a b d, next", "list! a b c, nothing, change! -c +d"},
		{"a newcomer in a halt", "publish! a b, publish a b, changes, next, publish! a b, next", "list a b, beat!"},

		{"has the present list", "publish! a b, changes a b, next, next", "beat!, nothing"},
		{"has the present list, in time", "publish a b, changes a b, next, beat, next, publish! a b, next", "nothing, beat, beat!"},
		{"has an unknown list, incomplete, in time", "publish a b c, changes x, beat, next, publish! a b c, next", "beat, list! a b c"},
		{"has the list as it becomes complete", "publish a, changes a b, next, publish! a b, next", "nothing, beat!"},
		{"has a list of before", "publish! a b c, publish! a b, publish! a b d, changes a b c, next", "change! -c +d"},
		{"has the list before this one", "publish! a b c, publish! a b, publish! a b d, changes a b, next", "change! +d"},
		{"has an unknown list", "publish! a b c, changes x, next, publish! a b, next", "list! a b c, change! -c"},
		{"has an unknown list, incomplete", "publish a b c, changes x, next, publish! a b c, next", "nothing, list! a b c"},
		{"has the empty list", "publish!, changes none, next", "beat!"},
		{"has the empty list, in time", "changes none, next, publish!, next", "nothing, beat!"},
		{"has the empty list of before", "publish! a b, changes none, next", "list! a b"},
		{"has a list that is forgotten", "publish! a b c, publish! d e f, publish! g, changes a b c, next", "list! g"},
		{"had the present list before", "publish! a b c, publish! a b, publish! a b c, changes a b c, next", "beat!"},
		{"has the present list, and verifies it", "publish! a b, changes a b, next, verify, next, next", "beat!, digest, nothing"},
		{"has a list of before, and verifies", "publish! a b c, publish! a b, changes a b c, next, verify, next", "change! -c, digest"},
		{"verifies after a change", "publish! a b c, changes a b c, next, verify, publish! a b, next, next", "beat!, change! -c, digest"},
		{"verifies after a beat", "publish! a, changes a, next, verify, beat, next, next", "beat!, beat!, digest"},
		{"verifies once", "publish! a, changes a, next, verify, next, verify, next", "beat!, digest, nothing"},
		{"verifies when the list is complete", "changes a, publish a, verify, next, publish! a, next, verify, next", "nothing, beat!, digest"},
		{"verifies after a halt", "publish! a, changes a, next, publish a, verify, next, publish! a, next, next", "beat!, nothing, digest, nothing"},
		{"has no list, and nothing to verify", "publish! a, changes, next, verify, next", "list! a, nothing"},
		{"has an unknown list, and nothing to verify", "publish! a, changes x, next, verify, next", "list! a, nothing"},
		{"plain: has nothing to verify", "publish! a, plain, next, verify, next", "plain a, nothing"},
		{"has read what is forgotten", "publish! a b c, changes, next, publish! d e f, publish! g, next", "list! a b c, list! g"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var l changelog
			var c cursor
			var got []string
			clock, at := newClock(), 0
			for _, step := range strings.Split(test.script, ", ") {
				do, what, _ := strings.Cut(step, " ")
				switch do {
				case "publish":
					l.publish(longNames(what), false)
				case "publish!":
					l.publish(longNames(what), true)
				case "plain":
					c = newCursor(true, nil, time.Time{})
				case "changes":
					c = newCursor(false, nil, time.Time{})
					if what != "" {
						sum := sumByHand(longNames(strings.TrimPrefix(what, "none"))...)
						c = newCursor(false, &sum, time.Time{})
					}
				case "beat":
					c.beat = true
				case "verify":
					at += 1000
					c.unverified(clock.at(at), time.Second)
				case "next":
					message := l.next(&c, clock.at(at))
					got = append(got, told(t, message, c.plain))
					if want := digestByHand(l.list); got[len(got)-1] == "digest" && string(message[1:]) != want {
						t.Errorf("got the digest % x, want % x", message[1:], want)
					}
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
	var l changelog
	for _, test := range []struct {
		list     string
		complete bool
		want     bool
	}{
		{"", false, false}, {"", true, true}, {"", true, false}, {"a", true, true}, {"a", true, false},
		{"a", false, true}, {"a b", false, true}, {"a b", true, true}, {"b", true, true},
	} {
		if got := l.publish(longNames(test.list), test.complete); got != test.want {
			t.Errorf("%q, complete %t: got %t, want %t", test.list, test.complete, got, test.want)
		}
	}
}

// A cursor's beat is timed from the last message that it was sent.
func TestBeats(t *testing.T) {
	clock, beat := newClock(), 800*ms
	var l changelog
	l.publish(longNames("a"), true)
	c := newCursor(false, nil, clock.at(0))
	clock.expectAt(t, "nextBeat of a newcomer", c.nextBeat(beat), 800)
	l.next(&c, clock.at(50))
	clock.expectAt(t, "nextBeat after a message", c.nextBeat(beat), 850)
	l.next(&c, clock.at(100)) // there was nothing to send
	clock.expectAt(t, "nextBeat after nothing", c.nextBeat(beat), 850)
	if c.quiet(clock.at(749), beat) || c.beat {
		t.Error("quiet more than an eighth of a beat early")
	}
	if !c.quiet(clock.at(750), beat) || !c.beat {
		t.Error("not quiet an eighth of a beat early")
	}
	clock.expectAt(t, "nextBeat before the beat is sent", c.nextBeat(beat), 1550)
	if got := told(t, l.next(&c, clock.at(760)), false); got != "beat!" {
		t.Errorf("got %s, want beat!", got)
	}
	clock.expectAt(t, "nextBeat after a beat", c.nextBeat(beat), 1560)
}

// A subscriber whose list an incomplete server has not checked yet is sent no
// beat at first.
func TestBeatsOfTheUnchecked(t *testing.T) {
	clock, beat := newClock(), 800*ms
	var l changelog
	l.publish(longNames("a"), false)
	sum := uint64(7)
	c := newCursor(false, &sum, clock.at(0))
	for i := 1; i <= 6; i++ {
		at := clock.at(800 * i)
		want := i > 4
		if got := c.quiet(at, beat); got != want || c.beat != want {
			t.Errorf("after %d beats: got quiet %t, want %t", i, got, want)
		}
		if got := l.next(&c, at) != nil; got != want {
			t.Errorf("after %d beats: got a beat %t, want %t", i, got, want)
		}
	}
	l.publish(longNames("a"), true)
	l.next(&c, clock.at(5000))
	if !c.quiet(clock.at(5800), beat) {
		t.Error("no beat once its list is checked")
	}
}

// Subscribers at the same position share a message, whatever other subscribers
// read in between.
func TestMessagesAreShared(t *testing.T) {
	var l changelog
	base := longNames("a b c d e f")
	l.publish(base[:5], true)
	old := cursor{position: nowhere, holds: true}
	l.next(&old, time.Time{})
	l.publish(base, true)
	behind := cursor{position: nowhere, holds: true}
	l.next(&behind, time.Time{})
	l.publish(base[1:], true)
	for name, from := range map[string]cursor{
		"one change behind": behind, "two changes behind": old, "new": newCursor(false, nil, time.Time{}), "plain": newCursor(true, nil, time.Time{}),
	} {
		t.Run(name, func(t *testing.T) {
			var first []byte
			for range 3 {
				for _, between := range []cursor{newCursor(false, nil, time.Time{}), {position: nowhere - 1}, old} {
					l.next(&between, time.Time{})
				}
				c := from
				message := l.next(&c, time.Time{})
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

// The changes that are kept take no more bytes than the list, and there are at
// most 256 of them.
func TestChangelogForgets(t *testing.T) {
	check := func(t *testing.T, l *changelog) {
		t.Helper()
		bytes := 0
		for _, c := range l.recent {
			bytes += wireSize(c.removed) + wireSize(c.added)
		}
		if l.bytes != bytes || l.size != wireSize(l.list) || l.sum != sumByHand(l.list...) {
			t.Fatalf("got %d bytes of changes, a list of %d and sum %#x, want %d, %d and %#x",
				l.bytes, l.size, l.sum, bytes, wireSize(l.list), sumByHand(l.list...))
		}
		if bytes > l.size || len(l.recent) > 256 {
			t.Fatalf("keeps %d changes of %d bytes with a list of %d bytes", len(l.recent), bytes, l.size)
		}
	}
	t.Run("by number", func(t *testing.T) {
		var base []string
		for i := range 2000 {
			base = append(base, fmt.Sprintf("%04d", i))
		}
		var l changelog
		var before []uint64
		for i := range 600 {
			before = append(before, l.sum)
			l.publish(base[i%2:1000+i], true)
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
		var l changelog
		for _, step := range []struct {
			list string
			kept int
		}{
			{"a b c d", 1}, {"a b c", 1}, {"a b", 2}, {"a b c", 3}, {"a b c d", 4}, {"a b c d f", 5}, {"a b c f g", 4}, {"f", 0}, {"g", 0}, {"", 0}, {"a", 1},
		} {
			l.publish(longNames(step.list), true)
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
	var l changelog
	var base []string
	for i := range 1000 {
		base = append(base, fmt.Sprintf("%04d", i))
	}
	var cursors []cursor
	for i := range 200 {
		l.publish(base[i:], true)
		c := newCursor(false, nil, time.Time{})
		l.next(&c, time.Time{})
		cursors = append(cursors, c)
	}
	shared := 0
	for i := range cursors {
		c := cursors[i]
		message := l.next(&c, time.Time{})
		bytes := 0
		for _, s := range l.steps {
			if &s.message[0] != &l.whole[0] {
				bytes += len(s.message)
			}
		}
		if bytes > len(l.encodedList()) || len(l.steps) > maxChanges+1 {
			t.Fatalf("%d messages of %d bytes are kept, with a list of %d", len(l.steps), bytes, len(l.encodedList()))
		}
		if again := l.next(&cursors[i], time.Time{}); message != nil && &again[0] == &message[0] {
			shared++
		}
	}
	if want := len(cursors) - 1; shared != want {
		t.Errorf("%d messages were shared, want %d", shared, want)
	}
	l.publish(slices.Clone(base), true)
	if len(l.steps) > 0 {
		t.Errorf("%d messages about an earlier list are kept", len(l.steps))
	}
}
