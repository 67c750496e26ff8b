package wire

import (
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/testclock"
	"github.com/dahernan/gopherdiscovery/internal/wiretest"
)

// The greeting of subscribers by a server that has started at 0, with a
// PollTime of 2 seconds and a ReturnTime of 5 seconds. Times are in
// milliseconds; -1 stands for an event that has to come first.
func TestGreeter(t *testing.T) {
	clock := testclock.New()
	const never = -1
	list := wiretest.Sum(wiretest.Names("a b")...)
	other := list + 1
	for _, test := range []struct {
		name     string
		cursor   Cursor
		since    int // when it has connected
		names    string
		named    int // when there was a name
		complete bool
		comingIn bool
		arrival  int
		want     int
	}{
		{"new", Cursor{}, 100, "a b", 20, false, false, 20, 100},
		{"new, just after an arrival", Cursor{}, 100, "a b", 20, false, false, 70, 120},
		{"new, an arrival since", Cursor{}, 100, "a b", 20, false, false, 300, 350},
		{"new, arrivals without end", Cursor{}, 100, "a b", 20, false, false, 1090, 1100},
		{"new, clients are coming in", Cursor{}, 100, "a b", 20, false, true, 20, 1100},
		{"new, and so are the names", Cursor{}, 100, "a b", 700, false, true, 700, 1700},
		{"new, no names", Cursor{}, 100, "", 0, false, false, 0, never},
		{"new, complete", Cursor{}, 100, "a b", 20, true, true, 120, 100},
		{"new, no names, complete", Cursor{}, 100, "", 0, true, true, 0, 100},

		{"plain", Cursor{Plain: true}, 100, "a b", 20, false, false, 20, 2000},
		{"plain, later", Cursor{Plain: true}, 3000, "a b", 20, false, false, 20, 3000},
		{"plain, an arrival since", Cursor{Plain: true}, 1990, "a b", 20, false, false, 1995, 2045},
		{"plain, clients are coming in", Cursor{Plain: true}, 1500, "a b", 20, false, true, 20, 2500},
		{"plain, no names", Cursor{Plain: true}, 100, "", 0, false, false, 0, never},
		{"plain, complete", Cursor{Plain: true}, 100, "a b", 20, true, true, 120, 100},
		{"plain, no names, complete", Cursor{Plain: true}, 100, "", 0, true, true, 0, 100},

		{"with the list", Cursor{have: &list}, 100, "a b", 20, false, true, 90, 100},
		{"with the list, complete", Cursor{have: &list}, 100, "a b", 20, true, false, 90, 100},
		{"with another list", Cursor{have: &other}, 100, "a b", 20, false, false, 20, never},
		{"with another list, complete", Cursor{have: &other}, 100, "a b", 20, true, false, 20, 5100},
		{"with another list, clients are coming in", Cursor{have: &other}, 100, "a b", 20, true, true, 20, 305100},
		{"with another list, clients are coming in at the start", Cursor{have: &other}, 100, "a b", 20, false, true, 20, never},
		{"with another list, no names", Cursor{have: &other}, 100, "", 0, true, false, 0, 5100},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := NewGreeter(2*time.Second, 5*time.Second, 5*time.Minute, clock.At(0))
			var l Changelog
			l.Publish(wiretest.Names(test.names), test.complete, false, clock.At(test.named))
			test.cursor.connectedAt = clock.At(test.since)
			at, ok := g.DueAt(&test.cursor, &l, Standing{test.complete, test.comingIn, clock.At(test.arrival)})
			switch {
			case !ok && test.want == never:
			case ok != (test.want != never):
				t.Errorf("got %v, %t, want %d", at.Sub(clock.At(0)), ok, test.want)
			default:
				clock.Expect(t, "told", at, test.want)
			}
		})
	}
}

// The second within which the first list comes begins with the first name, not
// with one that joins others.
func TestListIsNamedOnce(t *testing.T) {
	clock := testclock.New()
	var l Changelog
	for _, step := range []struct {
		list     string
		at, want int
	}{
		{"", 1, -1}, {"a", 2, 2}, {"a b", 3, 2}, {"b", 4, 2}, {"", 5, 2}, {"c", 6, 6},
	} {
		l.Publish(wiretest.Names(step.list), false, false, clock.At(step.at))
		clock.Expect(t, "named", l.named, step.want)
	}
}
