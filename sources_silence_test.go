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
		if err := src.take(u, now); err != nil {
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
