package gopherdiscovery

import (
	"slices"
	"time"
)

// edition times the lists: when a change is published, and from when on the list is complete.
type edition struct {
	opening     time.Time       // the list is complete from then on; zero until it is known
	complete    bool            // it is
	changed     time.Time       // the first change since the last list; zero without one
	immediate   bool            // a name has left: the change does not wait
	joined      bool            // a newcomer has joined: it waits for others of its batch only
	answerTimes []time.Duration // how long newcomers took to answer since the last list, sorted
	firstLoss   time.Time       // when the first connection has ended since the last list; zero without one
	lastLoss    time.Time       // when the last one has
	suspect     bool            // so many that most may follow
	last        time.Time       // when the last list was published
}

// openAt says from when on the list is complete. Until then the server has not asked everyone since it started, or was
// stopped.
func (e *edition) openAt(at time.Time) { e.opening, e.complete = at, false }

// close makes the list incomplete until it is known from when on it is not.
func (e *edition) close() { e.openAt(time.Time{}) }

// open reports whether the list has become complete.
func (e *edition) open(now time.Time) bool {
	if e.complete || e.opening.IsZero() || now.Before(e.opening) {
		return false
	}
	e.complete = true
	return true
}

// join notes that a newcomer has answered, and how long that took.
func (e *edition) join(took time.Duration) {
	e.joined = true
	if len(e.answerTimes) < paceSample {
		at, _ := slices.BinarySearch(e.answerTimes, took)
		e.answerTimes = slices.Insert(e.answerTimes, at, took)
	}
}

// pace is how far apart lists of joins are at least: as long as most newcomers
// take to answer, if that is long. Then the network is slow or its machines are
// busy, and the next list makes them busier.
func (e *edition) pace() time.Duration {
	if len(e.answerTimes) == 0 {
		return 0
	}
	median := e.answerTimes[(len(e.answerTimes)-1)/2]
	if median < shortestPace {
		return 0
	}
	return min(median, longestPace)
}

// note notes a change of the names.
func (e *edition) change(now time.Time, immediate bool) {
	if e.changed.IsZero() {
		e.changed = now
	}
	e.immediate = e.immediate || immediate
}

// lose notes the end of a connection, after a change of the names that it
// causes. It seldom comes alone, and that most have ended is to be known before
// the first is told. If no name has changed there is nothing to tell.
func (e *edition) lose(now time.Time, suspect bool) {
	if e.changed.IsZero() {
		return
	}
	e.suspect = e.suspect || suspect
	if e.firstLoss.IsZero() {
		e.firstLoss = now
	}
	e.lastLoss = now
}

// publishAt is when a list is to be published; zero if nothing has changed. While others of a batch of newcomers have not
// answered, waiting is true.
func (e *edition) publishAt(waiting bool) time.Time {
	switch {
	case e.changed.IsZero():
		return e.changed
	case !e.firstLoss.IsZero() && e.complete:
		if e.suspect {
			return earliest(e.lastLoss.Add(suspectSettle), e.firstLoss.Add(longestSuspect))
		}
		return earliest(e.lastLoss.Add(lossSettle), e.firstLoss.Add(longestLoss))
	case e.immediate:
		return e.changed
	}
	at, soonest := e.changed, e.last.Add(e.pace())
	if waiting {
		at = at.Add(settleTime)
	} else if !e.joined {
		soonest = e.last.Add(settleTime)
	}
	if soonest.After(at) {
		return soonest
	}
	return at
}

// due reports whether a list is to be published.
func (e *edition) due(now time.Time, waiting bool) bool {
	at := e.publishAt(waiting)
	return !at.IsZero() && !now.Before(at)
}

// deadline is when something is due; zero if nothing is.
func (e *edition) deadline(waiting bool) time.Time {
	at := e.publishAt(waiting)
	if !e.complete && !e.opening.IsZero() && (at.IsZero() || e.opening.Before(at)) {
		at = e.opening
	}
	return at
}

// published notes that a list is published.
func (e *edition) published(now time.Time) {
	e.changed, e.last = time.Time{}, now
	e.immediate, e.joined, e.answerTimes = false, false, e.answerTimes[:0]
	e.firstLoss, e.lastLoss, e.suspect = time.Time{}, time.Time{}, false
}
