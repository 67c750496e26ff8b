package membership

import (
	"cmp"
	"slices"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/times"
)

// pace decides when a change of the list is published. Leaves are published at
// once, and joins so that a burst of them makes few lists. It has no clock:
// callers pass the time.
type pace struct {
	last time.Time // when the last list with new names was published

	// The fields below describe what has happened since the last list.
	changed     time.Time       // the first change; zero if none
	lastAdded   time.Time       // when the last name has come; zero if none
	nameCount   int             // how many there were then
	immediate   bool            // a name has left, so the change does not wait
	answerTimes []time.Duration // how long newcomers took to answer, sorted
}

// recordAnswerTime records that a newcomer has answered, and how long that
// took.
func (p *pace) recordAnswerTime(took time.Duration) {
	if len(p.answerTimes) < paceSample {
		at, _ := slices.BinarySearch(p.answerTimes, took)
		p.answerTimes = slices.Insert(p.answerTimes, at, took)
	}
}

// answerTime returns the median of the times that newcomers took to answer, but
// at most shortListPace.
func (p *pace) answerTime() time.Duration {
	if len(p.answerTimes) == 0 {
		return 0
	}
	return min(p.answerTimes[(len(p.answerTimes)-1)/2], shortListPace)
}

// interval returns the minimum interval between lists of joins while newcomers
// keep coming. It is the time that they took to answer, or zero if that is
// short. If it is long, the network is slow or the machines are busy, and each
// list makes them busier. All peers together do work for each name of each
// list, so with many names it is longer.
func (p *pace) interval() time.Duration {
	median := p.answerTime()
	if median < shortestPace {
		return 0
	}
	excess, names := median-shortestPace, time.Duration(max(p.nameCount, paceNames))
	return min(shortestPace+excess*names/paceNames*names/paceNames, longestPace)
}

// add records a new name. With it there are so many names.
func (p *pace) add(now time.Time, names int) {
	p.nameCount, p.lastAdded = names, now
	p.changed = cmp.Or(p.changed, now)
}

// remove records that a name has left.
func (p *pace) remove(now time.Time) {
	p.immediate = true
	p.changed = cmp.Or(p.changed, now)
}

// dueAt returns when a list is due, or zero if nothing has changed. The
// argument says whether newcomers are coming in.
func (p *pace) dueAt(waiting bool) time.Time {
	if p.changed.IsZero() || p.immediate {
		return p.changed
	}
	at := p.changed
	if waiting {
		at = at.Add(settleTime)
	}
	// If none has come for as long as they took to answer, no more follow. When
	// all have answered, that is known sooner.
	quiet := p.answerTime()
	if !waiting {
		quiet = min(quiet, shortestPace)
	}
	soonest := times.Earliest(p.last.Add(p.interval()), p.lastAdded.Add(quiet))
	return times.Latest(at, times.Latest(soonest, p.last.Add(settleTime)))
}

// published records that a list is published now. One without new names delays
// no later one.
func (p *pace) published(now time.Time) {
	last := p.last
	if !p.lastAdded.IsZero() {
		last = now
	}
	*p = pace{last: last, answerTimes: p.answerTimes[:0]}
}
