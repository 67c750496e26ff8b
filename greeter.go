package gopherdiscovery

import (
	"time"

	"github.com/dahernan/gopherdiscovery/internal/membership"
)

// standing is what a server knows about its list, besides the names.
type standing struct {
	complete    bool      // the start is over: the clients have had time to come
	comingIn    bool      // clients are coming in
	lastArrival time.Time // when something last came in from clients
}

// greeter decides when a subscriber that has connected is told which list is
// current. Until then it waits. It has no clock: callers pass the time.
type greeter struct {
	start      time.Time     // of the server
	pollTime   time.Duration // how long plain subscribers wait after the start
	returnTime time.Duration // how long clients have to come back
}

// dueAt returns when a subscriber is told, as things are. It returns false if
// something has to happen first.
//
// A subscriber that has a list is told nothing that the next seconds may take
// back. It is told at once if the server's list follows from its own.
// Otherwise clients may be about to come back. Clients that are coming in delay
// it by membership.LongestWait at most.
//
// A subscriber without a list gets its first one from a complete server at
// once. While a server starts, clients often arrive together, so the first list
// waits until none arrives, for at most longestArrivals.
func (g greeter) dueAt(c *cursor, l *changelog, st standing) (at time.Time, ok bool) {
	switch {
	case c.have != nil && l.follows(*c.have):
		return c.since, true
	case c.have != nil:
		at = c.since.Add(g.returnTime)
		if st.comingIn {
			at = at.Add(membership.LongestWait)
		}
		return at, st.complete
	case st.complete:
		return c.since, true
	case len(l.list) == 0:
		return time.Time{}, false
	}
	at = latest(c.since, l.named).Add(longestArrivals)
	if !st.comingIn {
		at = earliest(at, latest(c.since, st.lastArrival.Add(arrivalsSettle)))
	}
	if c.plain {
		at = latest(at, g.start.Add(g.pollTime))
	}
	return at, true
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
