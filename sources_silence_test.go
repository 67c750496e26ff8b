package gopherdiscovery

import (
	"slices"
	"testing"
	"time"
)

// A server that was stopped before its list was complete goes on with what it
// knew then. That does not count if another server has a complete list.
func TestSilentServerCountsWhenItIsComplete(t *testing.T) {
	urls, err := parseDialURLs("url", "tcp://127.0.0.1:1,tcp://127.0.0.1:2")
	if err != nil {
		t.Fatal(err)
	}
	s := newSources(urls)
	stopped, other := s.all[0], s.all[1]
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	take := func(src *source, u *update) {
		t.Helper()
		if err := s.take(src, u, now); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want ...string) {
		t.Helper()
		if got := s.union(); !slices.Equal(got, want) {
			t.Errorf("after %v: got %q, want %q", now.Sub(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)), got, want)
		}
	}
	for _, src := range s.all {
		src.connect(time.Second, now)
	}
	take(stopped, &update{kind: kindList, names: []string{"a", "dead"}})
	take(other, &update{kind: kindList, names: []string{"a", "dead"}, complete: true})
	expect("a", "dead")
	now = now.Add(2 * time.Second)
	take(other, &update{kind: kindList, names: []string{"a"}, complete: true})
	expect("a", "dead")
	now = now.Add(time.Second)
	if lost := s.checkSilence(now); len(lost) > 0 {
		t.Errorf("%d connections are given up after 3 s, want none", len(lost))
	}
	expect("a")
	take(stopped, &update{kind: kindBeat, sum: sumOf([]string{"a", "dead"})})
	expect("a")
	take(stopped, &update{kind: kindChange, before: stopped.sum, sum: sumOf([]string{"a", "b"}), removed: []string{"dead"}, added: []string{"b"}})
	expect("a")
	take(stopped, &update{kind: kindBeat, sum: stopped.sum, complete: true})
	expect("a", "b")
}

// A server that is stopped while it sends goes on with a message of before. Its
// names of that time do not come back.
func TestFirstMessageAfterASilence(t *testing.T) {
	clock := newClock()
	list, dead := []string{"a"}, []string{"a", "dead"}
	for _, test := range []struct {
		name  string
		other bool // another server counts
		next  *update
		after time.Duration // of silence
		want  []string
	}{
		{"and nothing else yet", true, nil, staleGrace - 1, list},
		{"and nothing else", true, nil, staleGrace, dead},
		{"and that the list is incomplete", true, beatOf(false, dead...), time.Hour, list},
		{"and that the list is complete", true, beatOf(true, dead...), 0, dead},
		{"and a message to ignore", true, &update{kind: kindIgnored}, 0, dead},
		{"and no other server counts", false, nil, 0, dead},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newTestSources(2)
			stopped, other := s.all[0], s.all[1]
			stopped.connect(time.Second, clock.at(0))
			other.connect(0, clock.at(0)) // it may be silent for any time
			mustTake(t, s, stopped, listOf(true, dead...), clock.at(0))
			if test.other {
				mustTake(t, s, other, listOf(true, list...), clock.at(0))
			}
			now := clock.at(0).Add(missedBeats * time.Second)
			s.checkSilence(now)
			mustTake(t, s, stopped, beatOf(true, dead...), now)
			if test.next != nil {
				mustTake(t, s, stopped, test.next, now)
			}
			now = now.Add(test.after)
			if lost := s.checkSilence(now); test.after < time.Second && len(lost) > 0 {
				t.Error("a connection is given up")
			}
			expectUnion(t, "after the message", s, test.want...)
		})
	}
}
