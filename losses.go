package gopherdiscovery

import (
	"slices"
	"time"
)

// losses notices that most connections end at once: then the server's network
// is the likelier cause. It remembers who was there, to know them when they
// come back.
type losses struct {
	since          time.Time // when the first of those that are counted ended
	known          int       // how many connections there were then
	newest         int       // the number of the last of them; later ones are not counted
	ended          int
	last           time.Time // when the last connection of any ended
	list           []string  // as it was when the first of those that are counted ended
	missing        []string  // of those who were in the list before most ended, the ones who are not back
	missingAtFirst int       // how many they were at first
	until          time.Time // how long they are remembered; zero if few have ended
}

// over reports whether an end is too late to be counted with the others.
func (l *losses) expired(now time.Time) bool {
	return l.since.IsZero() || now.Sub(l.since) > lossWindow
}

// begin counts anew, with the connections and the list as they are.
func (l *losses) begin(now time.Time, known, newest int, list []string) {
	l.since, l.known, l.newest, l.ended, l.list = now, known, newest, 0, list
}

// follows reports whether an end comes right after another.
func (l *losses) follows(now time.Time) bool {
	return !l.last.IsZero() && now.Sub(l.last) < lossSettle
}

// suspect reports whether so many have ended that most may follow.
func (l *losses) suspect() bool { return many(l.ended, l.known) }

// end counts the end of the connection with a number, and reports whether most
// have now ended, and whether it is this one that makes them most.
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

// remember remembers the list, and those who are not back from an earlier loss.
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

// recent reports whether many have ended, and may come back.
func (l *losses) recent(now time.Time) bool { return now.Before(l.until) }

// settle forgets those who are in the list, and all once most of them are.
func (l *losses) settle(list []string, now time.Time) {
	if !l.recent(now) {
		return
	}
	l.missing, _ = compare(l.missing, list)
	if 2*len(l.missing) < l.missingAtFirst {
		l.until = time.Time{}
	}
}

// lost reports whether a name that comes now is one of those.
func (l *losses) lost(name string, now time.Time) bool {
	if !l.recent(now) {
		return false
	}
	_, found := slices.BinarySearch(l.missing, name)
	return found
}
