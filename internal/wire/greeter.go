package wire

import (
	"time"

	"github.com/dahernan/gopherdiscovery/internal/times"
)

// Standing is what a server knows about its list, besides the names.
type Standing struct {
	Complete    bool      // the start is over: the clients have had time to come
	ComingIn    bool      // clients are coming in
	LastArrival time.Time // when something last came in from clients
}

// Greeter decides when a subscriber that has connected is told which list is
// current. Until then it waits. It has no clock: callers pass the time.
type Greeter struct {
	start      time.Time     // of the server
	pollTime   time.Duration // how long plain subscribers wait after the start
	returnTime time.Duration // how long clients have to come back
	longest    time.Duration // how long those that are coming in delay it at most
}

// NewGreeter returns the greeter of a server that starts now. Clients that are
// coming in delay it by at most longest.
func NewGreeter(pollTime, returnTime, longest time.Duration, now time.Time) Greeter {
	return Greeter{start: now, pollTime: pollTime, returnTime: returnTime, longest: longest}
}

// DueAt returns when a subscriber is told, as things are. It returns false if
// something has to happen first.
//
// A subscriber that has a list is told nothing that the next seconds may take
// back. It is told at once if the server's list follows from its own.
// Otherwise clients may be about to come back. Clients that are coming in delay
// it by g.longest at most.
//
// A subscriber without a list gets its first one from a complete server at
// once. While a server starts, clients often arrive together, so the first list
// waits until none arrives, for at most longestArrivals.
func (g Greeter) DueAt(c *Cursor, l *Changelog, st Standing) (at time.Time, ok bool) {
	switch {
	case c.have != nil && l.follows(*c.have):
		return c.connectedAt, true
	case c.have != nil:
		at = c.connectedAt.Add(g.returnTime)
		if st.ComingIn {
			at = at.Add(g.longest)
		}
		return at, st.Complete
	case st.Complete:
		return c.connectedAt, true
	case len(l.list) == 0:
		return time.Time{}, false
	}
	at = times.Latest(c.connectedAt, l.named).Add(longestArrivals)
	if !st.ComingIn {
		at = times.Earliest(at, times.Latest(c.connectedAt, st.LastArrival.Add(arrivalsSettle)))
	}
	if c.Plain {
		at = times.Latest(at, g.start.Add(g.pollTime))
	}
	return at, true
}
