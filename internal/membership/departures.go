package membership

import (
	"slices"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/times"
)

// departures decides when names leave whose connections have ended without
// goodbye. A single end is told after a moment. If most names end at the same
// time, the cause is more likely the server or its network: the clients are
// given time to return. It has no clock: callers pass the time.
type departures struct {
	returnTime time.Duration

	// away and ended are absences by name. Those that are away are on the list.
	// Those that have ended began within massWindow, and may have departed. A
	// name that is announced again is in neither. The slices drop an absence
	// when they come to it and it is not in its map any more.
	away, ended map[string]*absence

	recent []*absence // of ended, oldest first

	// gathered are the absences that depart together once no further end
	// follows, oldest first.
	gathered []*absence
	followed bool // they come from more than one end

	// returning are the absences that have time to return, oldest first.
	returning []*absence

	stoppedAt    time.Time // when the server was last stopped; zero if never
	heardAgainAt time.Time // when a name was last heard while no other was
}

// absence is the state of a name after its last connection has ended.
type absence struct {
	name   string
	since  time.Time
	isOnly bool // there was no other name
}

func newDepartures(c Config) departures {
	return departures{
		returnTime: c.ReturnTime, away: make(map[string]*absence), ended: make(map[string]*absence),
	}
}

// end records that an end has left names without a connection. The list has the
// given number of names, these included. Heard is how many of them a connection
// announces that answers. TimedOut says that nothing has arrived at the other
// side for too long.
func (d *departures) end(names []string, listed, heard int, timedOut bool, now time.Time) {
	if len(names) == 0 {
		return
	}
	d.forget(now)
	ended := make([]*absence, len(names))
	for i, name := range names {
		a := &absence{name: name, since: now, isOnly: listed == 1 && len(d.ended) == 0}
		d.away[name], d.ended[name], ended[i] = a, a, a
	}
	d.recent = append(d.recent, ended...)
	announced := listed - len(d.away)
	switch {
	case now.Sub(d.stoppedAt) <= afterStop, isMass(len(d.ended), announced):
		d.giveTime(append(d.gathered, ended...))
		d.gathered = nil
	// A dead network ends connections one after the other. Those that are
	// silent will follow, and those that are away may have come before.
	case timedOut && isMass(max(len(d.ended), len(d.away))+announced-heard, heard):
		d.giveTime(ended)
	default:
		d.followed = len(d.gathered) > 0
		d.gathered = append(d.gathered, ended...)
	}
}

// giveTime gives absences time to return.
func (d *departures) giveTime(all []*absence) {
	n := len(d.returning)
	d.returning = append(d.returning, all...)
	if n > 0 && n < len(d.returning) && d.returning[n].since.Before(d.returning[n-1].since) {
		slices.SortStableFunc(d.returning, func(a, b *absence) int { return a.since.Compare(b.since) })
	}
	// Names may come and go often while an older one is away.
	if len(d.returning) > 2*len(d.away) {
		d.returning = slices.DeleteFunc(d.returning, func(a *absence) bool { return !d.isAway(a) })
	}
}

// forget forgets the ends that are not recent any more.
func (d *departures) forget(now time.Time) {
	for len(d.recent) > 0 && now.Sub(d.recent[0].since) > massWindow {
		if a := d.recent[0]; d.ended[a.name] == a {
			delete(d.ended, a.name)
		}
		d.recent = d.recent[1:]
	}
}

// isMass reports whether ends are a mass departure. The arguments are how many
// names have ended, and how many are announced. Names that have been away for
// longer cannot end once more, so they do not count.
func isMass(ended, announced int) bool {
	return ended >= massNames && ended > announced || ended >= massOfAll && announced == 0
}

// announce records that a connection announces a name.
func (d *departures) announce(name string) {
	delete(d.away, name)
	delete(d.ended, name)
}

// isAway reports whether an absence has ended neither in a return nor in a
// departure.
func (d *departures) isAway(a *absence) bool { return d.away[a.name] == a }

// depart removes and returns the names that depart now. Forget is true if some
// of them have had time to return. Clients that are coming in hold these up.
// Nobody says that nothing has been heard of any name lately.
func (d *departures) depart(now time.Time, comingIn, nobody bool) (names []string, forget bool) {
	d.forget(now)
	var over []*absence
	if isDue(d.gatheredAt(), now) {
		over, d.gathered = d.gathered, nil
	}
	for ; len(d.returning) > 0; d.returning = d.returning[1:] {
		a := d.returning[0]
		if d.isAway(a) {
			at := d.returnBy(a, nobody)
			if now.Before(at) || comingIn && now.Before(at.Add(LongestWait)) {
				break
			}
			forget = true
		}
		over = append(over, a)
	}
	for _, a := range over {
		if d.isAway(a) {
			delete(d.away, a.name)
			names = append(names, a.name)
		}
	}
	return names, forget
}

// gatheredAt returns when the gathered absences depart, or zero if there are
// none.
func (d *departures) gatheredAt() time.Time {
	n := len(d.gathered)
	switch {
	case n == 0:
		return time.Time{}
	case d.followed:
		return times.Earliest(d.gathered[n-1].since.Add(endsWait), d.gathered[0].since.Add(longestEndsWait))
	}
	return d.gathered[0].since.Add(endWait)
}

// returnBy returns when an absence ends in a departure. That of an only name is
// no mass departure, so the path to all clients is not taken for dead.
func (d *departures) returnBy(a *absence, nobody bool) time.Time {
	from := a.since
	switch {
	case a.isOnly:
	case nobody:
		from = from.Add(longestOutage)
	default:
		from = times.Earliest(from.Add(longestOutage), times.Latest(from, d.heardAgainAt))
	}
	return from.Add(d.returnTime)
}

// returningAt returns when the first of the returning absences departs, unless
// clients are coming in. It returns zero if there are none.
func (d *departures) returningAt(nobody bool) (at time.Time) {
	if len(d.returning) > 0 {
		at = d.returnBy(d.returning[0], nobody)
	}
	return at
}
