package membership

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/testclock"
	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// testRoster returns a roster with connections from hosts of their own.
func testRoster(ids ...int) *roster[int] {
	r := newRoster[int]()
	for _, id := range ids {
		r.connect(id, fmt.Sprint("host", id))
	}
	return &r
}

func TestRosterNamesOnSeveralConnections(t *testing.T) {
	r := testRoster(1, 2)
	now := testclock.New().At(0)
	for _, step := range []struct {
		id    int
		name  string
		isNew bool
	}{{1, "b", true}, {1, "a", true}, {1, "a", false}, {2, "b", false}, {3, "stranger", false}} {
		if isNew, err := r.hear(step.id, step.name, now, 0); isNew != step.isNew || err != nil {
			t.Errorf("%d announces %s: got new %t, %v, want %t", step.id, step.name, isNew, err, step.isNew)
		}
	}
	for _, step := range []struct {
		gone int
		want string
	}{{3, ""}, {1, "a"}, {1, ""}, {2, "b"}} {
		if got := strings.Join(r.disconnect(step.gone), " "); got != step.want {
			t.Errorf("after the end of connection %d: got %q without a connection, want %q", step.gone, got, step.want)
		}
	}
	if got := r.sorted(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %q, want both names until they are removed", got)
	}
	r.remove("a")
	if got := r.sorted(); !slices.Equal(got, []string{"b"}) {
		t.Errorf("got %q, want b", got)
	}
}

func TestRosterPolls(t *testing.T) {
	r := testRoster(1, 2)
	c := testclock.New()
	r.hear(1, "one", c.At(0), 0)
	r.hear(2, "two", c.At(0), 0)
	r.hear(2, "three", c.At(0), 0)
	r.beginPoll(c.At(0))
	if r.unanswered != 3 {
		t.Fatalf("unheard: got %d, want 3", r.unanswered)
	}
	r.hear(1, "one", c.At(0), 0)
	r.connect(3, "host3") // owes no answer to this poll
	r.hear(2, "two", c.At(0), 0)
	r.hear(3, "late", c.At(0), 0)
	if r.unanswered != 1 {
		t.Fatalf("unheard: got %d, want 1, the name three", r.unanswered)
	}
	for i, want := range []struct {
		missed  int
		doubted bool
		list    string
	}{
		{1, false, "late one three two"},
		{0, true, "late one three two"}, // all four are silent
	} {
		missed, doubted, _ := r.endPoll(c.At(1000), 2, false)
		if list := strings.Join(r.sorted(), " "); missed != want.missed || doubted != want.doubted || list != want.list {
			t.Errorf("poll %d: got %d missed, doubted %t, %q, want %+v", i+1, missed, doubted, list, want)
		}
		r.beginPoll(c.At(1000))
	}
	r.hear(1, "one", c.At(1000), 0)
	if _, _, changed := r.endPoll(c.At(29999), 2, false); changed {
		t.Error("changed before 30 s are over")
	}
	c.Expect(t, "overdue", r.overdueAt, 30000)
	r.beginPoll(c.At(30000))
	r.hear(1, "one", c.At(30000), 0)
	if _, _, changed := r.endPoll(c.At(30000), 2, false); !changed || strings.Join(r.sorted(), " ") != "late one two" {
		t.Errorf("got %q, want all but three: the others were asked later", r.sorted())
	}
	c.Expect(t, "overdue", r.overdueAt, 31000)
}

// A name that was dropped for its silence, and is heard again on the same
// connection, was slow rather than hung.
func TestRosterLearnsFromADrop(t *testing.T) {
	c := testclock.New()
	for _, test := range []struct {
		name      string
		heard     int
		reconnect bool
		want      time.Duration
	}{
		{"after 10 s", 12000, false, 10 * time.Second},
		{"after an hour", 3600000, false, maxSilence},
		{"on a new connection", 12000, true, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := testRoster(1)
			r.hear(1, "a", c.At(0), 0)
			r.beginPoll(c.At(2000))
			if _, _, changed := r.endPoll(c.At(3000), 1, false); !changed || len(r.sorted()) > 0 {
				t.Fatalf("after a missed poll: got %q, want none", r.sorted())
			}
			if test.reconnect {
				r.disconnect(1)
				r.connect(1, "host1")
			}
			r.hear(1, "a", c.At(test.heard), 0)
			if got := r.conns[1].names["a"].slowest; got != test.want {
				t.Errorf("got %v as its slowest answer, want %v", got, test.want)
			}
		})
	}
}

// The sorted list is updated by its changes, whether it is asked for after each
// of them or after many. A list that was returned does not change.
func TestRosterSortsChangesOnly(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	r := testRoster()
	var kept, copied []string
	for step := range 2000 {
		for range rng.IntN(30) {
			switch id := rng.IntN(10); {
			case rng.IntN(8) > 0:
				r.hear(id, fmt.Sprint(rng.IntN(200)), time.Time{}, 0)
			case r.conns[id] == nil:
				r.connect(id, "")
			default:
				for _, name := range r.disconnect(id) {
					r.remove(name)
				}
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
	t.Run("names", func(t *testing.T) {
		r := testRoster()
		refused := 0
		for id := range MaxTotalNames/MaxNames + 2 {
			r.connect(id, "")
			for n := range MaxNames {
				if _, err := r.hear(id, fmt.Sprintf("%d-%d", id, n), time.Time{}, 0); err != nil {
					refused++
				}
			}
		}
		if refused != 2*MaxNames || len(r.sorted()) != MaxTotalNames {
			t.Errorf("%d names were refused and %d are listed, want %d and %d", refused, len(r.sorted()), 2*MaxNames, MaxTotalNames)
		}
		if _, err := r.hear(0, "one more", time.Time{}, 0); !errors.Is(err, errTooManyNames) {
			t.Errorf("one more name of a connection: got %v, want %v", err, errTooManyNames)
		}
		if _, err := r.hear(MaxTotalNames/MaxNames, "0-0", time.Time{}, 0); !errors.Is(err, errListFull) {
			t.Errorf("a known name: got %v, want %v", err, errListFull)
		}
		r.disconnect(0)
		if _, err := r.hear(MaxTotalNames/MaxNames, "0-0", time.Time{}, 0); err != nil {
			t.Errorf("after a connection has ended: got %v", err)
		}
	})
	t.Run("bytes", func(t *testing.T) {
		r := testRoster()
		name := strings.Repeat("n", wire.MaxListLen/MaxNames-6)
		for id := range 2 {
			r.connect(id, "")
			for n := range MaxNames {
				_, err := r.hear(id, fmt.Sprintf("%s%d%04d", name, id, n), time.Time{}, 0)
				if want := id > 0; errors.Is(err, errListFull) != want {
					t.Fatalf("name %d of connection %d: got %v, want an error %t", n, id, err, want)
				}
			}
		}
		if _, err := r.hear(1, fmt.Sprintf("%s%d%04d", name, 0, 7), time.Time{}, 0); err != nil {
			t.Errorf("a name that is listed: got %v", err)
		}
		r.leave(0, fmt.Sprintf("%s%d%04d", name, 0, 8))
		if _, err := r.hear(1, "small", time.Time{}, 0); err != nil {
			t.Errorf("after a leave: got %v", err)
		}
	})
}

func TestRefusedNames(t *testing.T) {
	s := newScript(t, Config{})
	s.connect(0, 1)
	s.expect(0, "ask 1; wake 2000")
	for n := range MaxNames {
		s.hear(1, 1, fmt.Sprint(n))
	}
	if err := s.Hear(1, "one more", s.At(1)); !errors.Is(err, errTooManyNames) {
		t.Errorf("got %v, want %v", err, errTooManyNames)
	}
	if s.Next(s.At(1)); len(s.List()) != MaxNames {
		t.Errorf("got %d names, want %d", len(s.List()), MaxNames)
	}
}
