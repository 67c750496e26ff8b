package gopherdiscovery

import "testing"

// The greeting of subscribers by a server that has started at 0, with a
// PollTime of 2 seconds and a ReturnTime of 5 seconds. Times are in
// milliseconds; -1 stands for an event that has to come first.
func TestGreeter(t *testing.T) {
	clock := newClock()
	const never = -1
	list := sumByHand(longNames("a b")...)
	other := list + 1
	for _, test := range []struct {
		name     string
		cursor   cursor
		since    int // when it has connected
		names    string
		named    int // when there was a name
		complete bool
		comingIn bool
		arrival  int
		want     int
	}{
		{"new", cursor{}, 100, "a b", 20, false, false, 20, 100},
		{"new, just after an arrival", cursor{}, 100, "a b", 20, false, false, 70, 120},
		{"new, an arrival since", cursor{}, 100, "a b", 20, false, false, 300, 350},
		{"new, arrivals without end", cursor{}, 100, "a b", 20, false, false, 1090, 1100},
		{"new, clients are coming in", cursor{}, 100, "a b", 20, false, true, 20, 1100},
		{"new, and so are the names", cursor{}, 100, "a b", 700, false, true, 700, 1700},
		{"new, no names", cursor{}, 100, "", 0, false, false, 0, never},
		{"new, complete", cursor{}, 100, "a b", 20, true, true, 120, 100},
		{"new, no names, complete", cursor{}, 100, "", 0, true, true, 0, 100},

		{"plain", cursor{plain: true}, 100, "a b", 20, false, false, 20, 2000},
		{"plain, later", cursor{plain: true}, 3000, "a b", 20, false, false, 20, 3000},
		{"plain, an arrival since", cursor{plain: true}, 1990, "a b", 20, false, false, 1995, 2045},
		{"plain, clients are coming in", cursor{plain: true}, 1500, "a b", 20, false, true, 20, 2500},
		{"plain, no names", cursor{plain: true}, 100, "", 0, false, false, 0, never},
		{"plain, complete", cursor{plain: true}, 100, "a b", 20, true, true, 120, 100},
		{"plain, no names, complete", cursor{plain: true}, 100, "", 0, true, true, 0, 100},

		{"with the list", cursor{have: &list}, 100, "a b", 20, false, true, 90, 100},
		{"with the list, complete", cursor{have: &list}, 100, "a b", 20, true, false, 90, 100},
		{"with another list", cursor{have: &other}, 100, "a b", 20, false, false, 20, never},
		{"with another list, complete", cursor{have: &other}, 100, "a b", 20, true, false, 20, 5100},
		{"with another list, clients are coming in", cursor{have: &other}, 100, "a b", 20, true, true, 20, 305100},
		{"with another list, clients are coming in at the start", cursor{have: &other}, 100, "a b", 20, false, true, 20, never},
		{"with another list, no names", cursor{have: &other}, 100, "", 0, true, false, 0, 5100},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := greeter{start: clock.at(0), pollTime: defaultPollTime, returnTime: defaultReturnTime}
			var l changelog
			l.publish(longNames(test.names), test.complete, false, clock.at(test.named))
			test.cursor.since = clock.at(test.since)
			at, ok := g.dueAt(&test.cursor, &l, standing{test.complete, test.comingIn, clock.at(test.arrival)})
			switch {
			case !ok && test.want == never:
			case ok != (test.want != never):
				t.Errorf("got %v, %t, want %d", at.Sub(clock.start), ok, test.want)
			default:
				clock.expectAt(t, "told", at, test.want)
			}
		})
	}
}

// The second within which the first list comes begins with the first name, not
// with one that joins others.
func TestListIsNamedOnce(t *testing.T) {
	clock := newClock()
	var l changelog
	for _, step := range []struct {
		list     string
		at, want int
	}{
		{"", 1, -1}, {"a", 2, 2}, {"a b", 3, 2}, {"b", 4, 2}, {"", 5, 2}, {"c", 6, 6},
	} {
		l.publish(longNames(step.list), false, false, clock.at(step.at))
		clock.expectAt(t, "named", l.named, step.want)
	}
}
