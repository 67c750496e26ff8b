package gopherdiscovery

import (
	"slices"
	"time"
)

// losses detects that most connections end at the same time, which is more
// likely a failure of the server's network than of the clients. It remembers
// the names that were listed, to recognize them when they come back. It has no
// clock: callers pass the time.
type losses struct {
	// Connections that end close together are counted.
	since  time.Time // when the first of them ended
	known  int       // connections that were open then
	newest int       // number of the newest of those; later ones do not count
	ended  int       // of those known, how many have ended
	list   []string  // the list before the first of them ended

	last time.Time // when any connection last ended

	// missing holds the names that were in the list before most connections
	// ended and have not come back. They are remembered until a given time,
	// which is zero if no such loss is remembered.
	missing        []string
	missingAtFirst int // the length of missing at the time of the loss
	until          time.Time
	returned       time.Time // when one of them came back last
}

// expired reports whether an end comes too late to be counted with the others.
func (l *losses) expired(now time.Time) bool {
	return l.since.IsZero() || now.Sub(l.since) > lossWindow
}

// begin starts a new count with the current connections and list.
func (l *losses) begin(now time.Time, known, newest int, list []string) {
	l.since, l.known, l.newest, l.ended, l.list = now, known, newest, 0, list
}

// follows reports whether an end comes right after another one.
func (l *losses) follows(now time.Time) bool {
	return !l.last.IsZero() && now.Sub(l.last) < lossSettle
}

// end counts the end of the connection with the given number. It reports
// whether most connections have now ended, and whether this is the first end of
// which that is true.
func (l *losses) end(number int, now time.Time) (most, first bool) {
	l.last = now
	if number > l.newest {
		return false, false
	}
	l.ended++
	enough := max(minLosses, l.known/2+1)
	if l.ended < enough {
		return false, false
	}
	if l.ended == enough {
		l.remember(now)
	}
	l.until = now.Add(lossMemory)
	return true, l.ended == enough
}

// remember sets missing to the list. It adds the names that are still missing
// from an earlier loss, unless that makes too many.
func (l *losses) remember(now time.Time) {
	var away []string
	if l.recent(now) {
		away, _ = compare(l.missing, l.list)
	}
	if len(l.list)+len(away) > maxTotalNames {
		away = nil
	}
	l.missing, _ = edit(l.list, nil, away)
	l.missingAtFirst = len(l.missing)
}

// recent reports whether most connections have ended recently, so that their
// names may come back.
func (l *losses) recent(now time.Time) bool { return now.Before(l.until) }

// settle removes the names in list from the missing ones. It forgets the loss
// once more than half of the names are back.
func (l *losses) settle(list []string, now time.Time) {
	if !l.recent(now) {
		return
	}
	l.missing, _ = compare(l.missing, list)
	if 2*len(l.missing) < l.missingAtFirst {
		l.until = time.Time{}
	}
}

// lost reports whether name, which joins, is one of the missing names.
func (l *losses) lost(name string, now time.Time) bool {
	if !l.recent(now) {
		return false
	}
	_, found := slices.BinarySearch(l.missing, name)
	if found {
		l.returned = now
	}
	return found
}

// returning reports whether a missing name has come back lately, and others are
// still not in the list.
func (l *losses) returning(list []string, now time.Time) bool {
	if !l.recent(now) || now.Sub(l.returned) > returnWindow {
		return false
	}
	away, _ := compare(l.missing, list)
	return len(away) > 0
}
