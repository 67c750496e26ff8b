package gopherdiscovery

import (
	"slices"
	"time"
)

// edition decides when a change of the list is published, and from when on the
// list is complete. It has no clock: callers pass the time.
type edition struct {
	opening  time.Time // when the list becomes complete; zero while unknown
	complete bool
	last     time.Time // when the last list was published

	// The fields below describe what has happened since the last list.
	changed     time.Time       // the first change; zero if none
	names       int             // how many there are, as of the last change
	immediate   bool            // a name has left, so the change does not wait
	joined      bool            // a newcomer has answered
	answerTimes []time.Duration // how long newcomers took to answer, sorted
	lost        int             // connections that have ended
	firstLoss   time.Time       // when the first of them ended
	lastLoss    time.Time       // when the last of them ended
}

// openAt sets when the list becomes complete. Until then the server has not
// surveyed all clients since it started or was stopped.
func (e *edition) openAt(at time.Time) { e.opening, e.complete = at, false }

// close makes the list incomplete until openAt sets when it becomes complete.
func (e *edition) close() { e.openAt(time.Time{}) }

// open completes the list if its time has come, and reports whether it has.
func (e *edition) open(now time.Time) bool {
	if !e.opens(now) {
		return false
	}
	e.complete = true
	return true
}

// opens reports whether the list is about to become complete.
func (e *edition) opens(now time.Time) bool {
	return !e.complete && !e.opening.IsZero() && !now.Before(e.opening)
}

// join records that a newcomer has answered, and how long that took.
func (e *edition) join(took time.Duration) {
	e.joined = true
	if len(e.answerTimes) < paceSample {
		at, _ := slices.BinarySearch(e.answerTimes, took)
		e.answerTimes = slices.Insert(e.answerTimes, at, took)
	}
}

// pace returns the minimum interval between lists of joins. It is the median of
// the times that newcomers took to answer, or zero if that is short. If it is
// long, the network is slow or the machines are busy, and each list makes them
// busier. All peers together do work for each name of each list, so with many
// names it is longer.
func (e *edition) pace() time.Duration {
	if len(e.answerTimes) == 0 {
		return 0
	}
	median := e.answerTimes[(len(e.answerTimes)-1)/2]
	if median < shortestPace {
		return 0
	}
	excess, names := min(median, shortListPace)-shortestPace, time.Duration(max(e.names, paceNames))
	return min(shortestPace+excess*names/paceNames*names/paceNames, longestPace)
}

// change records a change of the names, of which there are now so many.
func (e *edition) change(now time.Time, names int, immediate bool) {
	e.names = names
	if e.changed.IsZero() {
		e.changed = now
	}
	e.immediate = e.immediate || immediate
}

// lose records the end of a connection, after a change of the names that it
// causes. Ends often come together, and if most connections end, that must be
// known before the first end is published. If no name has changed, there is
// nothing to publish.
func (e *edition) lose(now time.Time) {
	if e.changed.IsZero() {
		return
	}
	e.lost++
	if e.lost == 1 {
		e.firstLoss = now
	}
	e.lastLoss = now
}

// publishAt returns when a list is due, or zero if nothing has changed. The
// argument says whether some of the last batch of newcomers have not answered.
func (e *edition) publishAt(waiting bool) time.Time {
	switch {
	case e.changed.IsZero():
		return e.changed
	case e.lost > 0 && e.complete:
		if e.lost > 1 {
			return earliest(e.lastLoss.Add(burstSettle), e.firstLoss.Add(longestBurst))
		}
		return e.lastLoss.Add(lossSettle)
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

// due reports whether a list is due.
func (e *edition) due(now time.Time, waiting bool) bool {
	at := e.publishAt(waiting)
	return !at.IsZero() && !now.Before(at)
}

// deadline returns when a list is due or becomes complete, or zero if neither
// is pending.
func (e *edition) deadline(waiting bool) time.Time {
	at := e.publishAt(waiting)
	if !e.complete && !e.opening.IsZero() && (at.IsZero() || e.opening.Before(at)) {
		at = e.opening
	}
	return at
}

// published records that a list is published now.
func (e *edition) published(now time.Time) {
	e.changed, e.last = time.Time{}, now
	e.immediate, e.joined, e.answerTimes = false, false, e.answerTimes[:0]
	e.lost, e.firstLoss, e.lastLoss = 0, time.Time{}, time.Time{}
}
