package gopherdiscovery

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestRosterNamesOnSeveralConnections(t *testing.T) {
	r := newRoster[int]()
	now := time.Now()
	r.connect(1)
	r.connect(2)
	r.hear(1, "b", now, 0)
	r.hear(1, "a", now, 0) // a device
	r.hear(2, "b", now, 0)
	r.hear(3, "stranger", now, 0)
	for _, step := range []struct {
		gone int
		want []string
	}{
		{3, []string{"a", "b"}},
		{1, []string{"b"}},
		{1, []string{"b"}},
		{2, []string{}},
	} {
		r.disconnect(step.gone)
		if !slices.Equal(r.sorted(), step.want) {
			t.Errorf("after the end of connection %d: got %q, want %q", step.gone, r.sorted(), step.want)
		}
	}
}

// A name that was dropped for its silence, and is heard again on the same
// connection, was slow rather than hung.
func TestRosterLearnsFromADrop(t *testing.T) {
	r := newRoster[int]()
	c := newClock()
	r.connect(1)
	r.hear(1, "a", c.at(0), 0)
	r.startPoll(c.at(2000))
	r.endPoll(c.at(3000), 1, 0, false)
	if got := r.sorted(); len(got) > 0 {
		t.Fatalf("after a missed poll: got %q, want none", got)
	}
	for _, test := range []struct {
		heard int
		want  time.Duration
	}{
		{12000, 10 * time.Second},
		{3600000, maxSilence},
	} {
		r.conns[1].dropped = dropped{"a", c.at(2000)}
		r.hear(1, "a", c.at(test.heard), 0)
		if got := r.conns[1].names["a"].slowest; got != test.want {
			t.Errorf("heard at %d ms: got %v as its slowest answer, want %v", test.heard, got, test.want)
		}
		r.disconnect(1)
		r.connect(1)
	}
	r.hear(1, "a", c.at(3600000), 0)
	if got := r.conns[1].names["a"].slowest; got != 0 {
		t.Errorf("on a new connection: got %v as its slowest answer, want 0", got)
	}
}

func TestRosterPolls(t *testing.T) {
	r := newRoster[int]()
	now := time.Now()
	r.connect(1)
	r.connect(2)
	r.hear(1, "one", now, 0)
	r.hear(2, "two", now, 0)
	r.hear(2, "three", now, 0)
	r.startPoll(now)
	if r.unheard != 5 { // two connections, three names
		t.Fatalf("unheard: got %d, want 5", r.unheard)
	}
	r.hear(1, "one", now, 0)
	r.connect(3) // owes no answer to this poll
	r.hear(2, "two", now, 0)
	r.hear(3, "late", now, 0)
	if r.unheard != 1 {
		t.Fatalf("unheard: got %d, want 1, the name three", r.unheard)
	}
	if _, silent, known := r.silent(now.Add(time.Second)); silent != 1 || known != 4 {
		t.Errorf("got %d of %d silent, want 1 of 4", silent, known)
	}
	if r.endPoll(now.Add(time.Second), 2, 0, false); !slices.Contains(r.sorted(), "three") {
		t.Errorf("after the first miss of three: got %q", r.sorted())
	}
	r.startPoll(now)
	if _, silent, known := r.silent(now.Add(time.Second)); silent != 4 || known != 4 {
		t.Errorf("got %d of %d silent, want all 4", silent, known)
	}
	if r.endPoll(now.Add(time.Second), 2, 0, false); !slices.Equal(r.sorted(), []string{"late", "one", "two"}) {
		t.Errorf("after the second miss of three: got %q", r.sorted())
	}
	r.hear(1, "one", now, 0) // late, but alive
	r.startPoll(now)
	r.endPoll(now.Add(time.Second), 2, 0, false)
	if !slices.Equal(r.sorted(), []string{"one"}) {
		t.Errorf("got %q, want only the name that was heard in between", r.sorted())
	}
}

// Whatever the order of events, the counts agree with a count from scratch.
func TestRosterAgreesWithACount(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	r := newRoster[int]()
	now := time.Now()
	for step := range 20000 {
		id := rng.IntN(6)
		switch rng.IntN(10) {
		case 0:
			if r.conns[id] == nil {
				r.connect(id)
			}
		case 1:
			r.disconnect(id)
		case 2:
			r.startPoll(now)
		case 3:
			r.endPoll(now, 1+rng.IntN(3), 0, false)
		default:
			r.hear(id, fmt.Sprint(rng.IntN(4)), now, 0)
		}
		unheard, names := 0, map[string]int{}
		for _, m := range r.conns {
			if m.heardIn != r.poll {
				unheard++
			}
			for name, p := range m.names {
				names[name]++
				if p.heardIn != r.poll {
					unheard++
				}
			}
		}
		var list []string
		for name, count := range names {
			list = append(list, name)
			if r.names[name].conns != count {
				t.Fatalf("step %d: %q is counted %d times, is there %d times", step, name, r.names[name].conns, count)
			}
		}
		slices.Sort(list)
		if r.unheard != unheard || !slices.Equal(r.sorted(), list) || len(r.names) != len(names) {
			t.Fatalf("step %d: got unheard %d, list %q, want %d, %q", step, r.unheard, r.sorted(), unheard, list)
		}
	}
}

// The sorted list is updated by its changes, whether it is asked for after each
// of them or after many. A list that was returned does not change.
func TestRosterSortsChangesOnly(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	r := newRoster[int]()
	var kept, copied []string
	for step := range 2000 {
		for range rng.IntN(30) {
			switch id := rng.IntN(10); {
			case rng.IntN(8) > 0:
				r.hear(id, fmt.Sprint(rng.IntN(200)), time.Now(), 0)
			case r.conns[id] == nil:
				r.connect(id)
			default:
				r.disconnect(id)
			}
		}
		got := r.sorted()
		if want := slices.Sorted(maps.Keys(r.names)); got == nil || !slices.Equal(got, want) {
			t.Fatalf("step %d: got %q, want %q", step, got, want)
		}
		if !slices.Equal(kept, copied) {
			t.Fatalf("step %d: the list returned before has become %q, it was %q", step, kept, copied)
		}
		kept, copied = got, slices.Clone(got)
		if len(r.dirty) > 0 {
			t.Fatalf("step %d: %d names are still to be sorted", step, len(r.dirty))
		}
	}
}

// The memory that connections can take is bounded, however many there are, and
// whether they bring the same names or different ones.
func TestRosterIsBounded(t *testing.T) {
	r := newRoster[int]()
	now := time.Now()
	refused := 0
	for id := range maxTotalNames/maxNames + 2 {
		r.connect(id)
		for n := range maxNames {
			if r.hear(id, fmt.Sprintf("%d-%d", id, n), now, 0) != nil {
				refused++
			}
		}
	}
	if refused != 2*maxNames || len(r.sorted()) != maxTotalNames {
		t.Errorf("%d names were refused and %d are listed, want %d and %d", refused, len(r.sorted()), 2*maxNames, maxTotalNames)
	}
	if r.hear(0, "one more", now, 0) == nil {
		t.Error("a connection could bring more than its names")
	}
	r.disconnect(0)
	r.connect(1000)
	if err := r.hear(1000, "0-0", now, 0); err != nil {
		t.Errorf("no room after a connection has ended: %v", err)
	}
}

// An answer that comes after its name was dropped shows how patient to be.
func TestRosterLearnsFromAFalseLeave(t *testing.T) {
	r := newRoster[int]()
	now := time.Now()
	r.connect(1)
	r.hear(1, "a", now, 0)
	r.startPoll(now)
	r.endPoll(now.Add(time.Second), 1, 0, false)
	if len(r.names) != 0 {
		t.Fatalf("got %q, want no names", r.sorted())
	}
	now = now.Add(10 * time.Second)
	r.hear(1, "a", now, 0)
	if got := r.conns[1].names["a"].slowest; got != 10*time.Second {
		t.Errorf("slowest answer: got %v, want 10 s", got)
	}
	r.startPoll(now)
	if r.endPoll(now.Add(20*time.Second), 1, 0, false); len(r.names) != 1 {
		t.Error("dropped again, although it has taken half as long before")
	}
}

// Polls before a doubted poll do not count, and no name is dropped while more
// patience is asked for. A name that has missed a doubted poll is given
// maxSilence, because the network comes back later for some clients than for
// others.
func TestRosterCountsAnewAfterADoubt(t *testing.T) {
	r := newRoster[int]()
	now := time.Now()
	r.connect(1)
	r.hear(1, "a", now, 0)
	for i, step := range []struct {
		silence time.Duration
		atLeast time.Duration
		doubted bool
		want    int
	}{
		{time.Second, 0, false, 1}, {2 * time.Second, 0, true, 1}, {3 * time.Second, 0, false, 1}, {4 * time.Second, 0, false, 1},
		{maxSilence, time.Minute, false, 1}, {maxSilence - 1, 0, false, 1}, {maxSilence, 0, false, 0},
	} {
		r.startPoll(now)
		if r.endPoll(now.Add(step.silence), 2, step.atLeast, step.doubted); len(r.names) != step.want {
			t.Errorf("after poll %d: got %d names, want %d", i+1, len(r.names), step.want)
		}
	}
}

// However slow a name used to be, no more than half of maxSilence is expected
// of it.
func TestPresenceExpected(t *testing.T) {
	now := time.Now()
	for _, test := range []struct {
		slowest, silence time.Duration
		want             bool
	}{
		{time.Second, time.Second, true},
		{time.Second, 1001 * ms, false},
		{time.Minute, maxSilence / 2, true},
		{time.Minute, maxSilence/2 + ms, false},
	} {
		p := presence{slowest: test.slowest, asked: now}
		if got := p.expected(now.Add(test.silence)); got != test.want {
			t.Errorf("%v of silence, at most %v before: got expected %t, want %t", test.silence, test.slowest, got, test.want)
		}
	}
}
