package gopherdiscovery

import (
	"slices"
	"time"
)

// joins times the surveys of new connections, and remembers which of them have not answered yet.
type joins[C comparable] struct {
	interval time.Duration // negative: they wait for the next poll

	newcomers []C // connected, not asked yet
	next      time.Time
	asked     map[C]time.Time // those that have not answered yet, and when they were asked
	batch     map[C]struct{}  // of these, the ones asked last
}

func newJoins[C comparable](opt Options) joins[C] {
	return joins[C]{interval: opt.JoinInterval, asked: make(map[C]time.Time), batch: make(map[C]struct{})}
}

func (j *joins[C]) due(now time.Time) bool { return j.pending() && !now.Before(j.next) }

// deadline is when newcomers are to be asked; zero if there are none.
func (j *joins[C]) deadline() time.Time {
	if !j.pending() {
		return time.Time{}
	}
	return j.next
}

func (j *joins[C]) pending() bool { return len(j.newcomers) > 0 && j.interval >= 0 }

func (j *joins[C]) connect(c C) { j.newcomers = append(j.newcomers, c) }

func (j *joins[C]) disconnect(c C) {
	j.forget(c)
	j.newcomers = slices.DeleteFunc(j.newcomers, func(other C) bool { return other == c })
}

// hear reports whether this is the first answer of a newcomer, and when it was asked.
func (j *joins[C]) hear(c C) (asked time.Time, isNew bool) {
	asked, isNew = j.asked[c]
	j.forget(c)
	return asked, isNew
}

func (j *joins[C]) forget(c C) {
	delete(j.asked, c)
	delete(j.batch, c)
}

// ask returns the newcomers, which are asked now.
func (j *joins[C]) ask(now time.Time) []C {
	j.next = now.Add(j.interval)
	return j.take(now)
}

// take notes that the newcomers are asked, be it by a poll.
func (j *joins[C]) take(now time.Time) []C {
	if len(j.newcomers) == 0 {
		return nil
	}
	clear(j.batch)
	for _, c := range j.newcomers {
		j.asked[c] = now
		j.batch[c] = struct{}{}
	}
	taken := j.newcomers
	j.newcomers = nil
	return taken
}

// excuse begins the time of those who have not answered anew: the server itself
// did not run.
func (j *joins[C]) excuse(now time.Time) {
	for c := range j.asked {
		j.asked[c] = now
	}
}

// answered is when everyone who has been asked has had the given time to answer, at the earliest now.
func (j *joins[C]) answered(now time.Time, within time.Duration) time.Time {
	last := now
	for _, asked := range j.asked {
		if end := asked.Add(within); end.After(last) {
			last = end
		}
	}
	return last
}

// waiting reports whether one of those asked last has not answered.
func (j *joins[C]) waiting() bool { return len(j.batch) > 0 }
