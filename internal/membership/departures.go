package membership

import (
	"slices"
	"time"
)

// departures decides when names leave whose connections have ended without
// goodbye. A single end is told after a moment. If most names end at the same
// time, the cause is more likely the server or its network: the clients are
// given time to return. It has no clock: callers pass the time.
type departures struct {
	returnTime time.Duration
	absences   map[string]*absence // by name: those that are away, and told ones that count

	// gathered are the absences that depart together once no further end
	// follows, oldest first.
	gathered []*absence
	followed bool // they come from more than one end

	// returning are the absences that have time to return, oldest first.
	returning []*absence

	recent []*absence // those that began within massWindow, oldest first
	ended  int        // of these, not back
	told   int        // of these, departed

	stopped time.Time // when the server was last stopped; zero if never
	nobody  bool      // no connection announces a name
	resumed time.Time // when nobody last became false
}

// absence is the state of a name after its last connection has ended. It is in
// several lists, which drop it when they come to it and it is back.
type absence struct {
	name   string
	since  time.Time
	isBack bool // a connection announces the name again
	isTold bool // the name has departed
	isOnly bool // there was no other name

	isRecent bool // it is among the recent ones
}

func newDepartures(c Config) departures {
	return departures{returnTime: c.ReturnTime, absences: make(map[string]*absence), nobody: true}
}

// end records that an end has left names without a connection. The list has the
// given number of names, these included.
func (d *departures) end(names []string, listed int, now time.Time) {
	if len(names) == 0 {
		return
	}
	d.forget(now)
	d.followed = len(d.gathered) > 0
	for _, name := range names {
		a := &absence{name: name, since: now, isOnly: listed == 1 && len(d.absences) == 0, isRecent: true}
		d.ended++
		d.absences[name] = a
		d.recent = append(d.recent, a)
		d.gathered = append(d.gathered, a)
	}
	stopped := !d.stopped.IsZero() && now.Sub(d.stopped) <= afterStop
	if stopped || d.isMass(listed) {
		d.returning = append(d.returning, d.gathered...)
		d.gathered = nil
		// Names may come and go often while an older one is away.
		if len(d.returning) > 2*len(d.absences) {
			d.returning = slices.DeleteFunc(d.returning, func(a *absence) bool { return a.isBack })
		}
	}
}

// forget forgets the ends that are not recent any more.
func (d *departures) forget(now time.Time) {
	for len(d.recent) > 0 && now.Sub(d.recent[0].since) > massWindow {
		a := d.recent[0]
		d.recent = d.recent[1:]
		if a.isTold && !a.isBack {
			delete(d.absences, a.name)
		}
		d.uncount(a)
		a.isRecent = false
	}
}

// uncount takes an absence that is over, or not recent any more, off the counts.
func (d *departures) uncount(a *absence) {
	if a.isBack || !a.isRecent {
		return
	}
	d.ended--
	if a.isTold {
		d.told--
	}
}

// isMass reports whether the recent ends are a mass departure. Names that have
// been away for longer cannot end once more, so they do not count.
func (d *departures) isMass(listed int) bool {
	away := len(d.absences) - d.ended
	all := listed + d.told - away
	return d.ended >= massNames && 2*d.ended > all || d.ended >= massOfAll && d.ended == all
}

// announce records that a connection announces a name.
func (d *departures) announce(name string, now time.Time) {
	if d.nobody {
		d.nobody, d.resumed = false, now
	}
	if a := d.absences[name]; a != nil {
		d.uncount(a)
		a.isBack = true
		delete(d.absences, name)
	}
}

// due returns the names that depart now. It reports whether some of them have
// had time to return. Clients that are coming in hold these up.
func (d *departures) due(now time.Time, comingIn bool) (names []string, hadTime bool) {
	d.forget(now)
	if at := d.gatheredAt(); !at.IsZero() && !now.Before(at) {
		for _, a := range d.gathered {
			names = d.tell(a, names)
		}
		d.gathered = nil
	}
	for len(d.returning) > 0 {
		a := d.returning[0]
		if !a.isBack {
			at := d.returnBy(a)
			if now.Before(at) || comingIn && now.Before(at.Add(LongestWait)) {
				break
			}
			hadTime = true
		}
		names = d.tell(a, names)
		d.returning = d.returning[1:]
	}
	return names, hadTime
}

// tell appends the name of an absence to names, unless it is back.
func (d *departures) tell(a *absence, names []string) []string {
	if a.isBack {
		return names
	}
	a.isTold = true
	if a.isRecent {
		d.told++
	} else {
		delete(d.absences, a.name)
	}
	return append(names, a.name)
}

// gatheredAt returns when the gathered absences depart, or zero if there are
// none.
func (d *departures) gatheredAt() time.Time {
	n := len(d.gathered)
	switch {
	case n == 0:
		return time.Time{}
	case d.followed:
		return earliest(d.gathered[n-1].since.Add(endsWait), d.gathered[0].since.Add(longestEndsWait))
	}
	return d.gathered[0].since.Add(endWait)
}

// returnBy returns when an absence ends in a departure. That of an only name is
// no mass departure, so the path to all clients is not taken for dead.
func (d *departures) returnBy(a *absence) time.Time {
	from := a.since
	switch {
	case a.isOnly:
	case d.nobody:
		from = from.Add(longestOutage)
	default:
		from = earliest(from.Add(longestOutage), latest(from, d.resumed))
	}
	return from.Add(d.returnTime)
}

// dueAt returns when names depart next, or zero if none do.
func (d *departures) dueAt() time.Time {
	at := d.gatheredAt()
	if len(d.returning) > 0 {
		if by := d.returnBy(d.returning[0]); at.IsZero() || by.Before(at) {
			at = by
		}
	}
	return at
}

// areReturning reports whether names have time to return.
func (d *departures) areReturning() bool { return len(d.returning) > 0 }
