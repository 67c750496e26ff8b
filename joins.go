package gopherdiscovery

import (
	"slices"
	"time"
)

// joins decides when to survey new connections, of type C, and remembers which
// of them have not answered yet.
type joins[C comparable] struct {
	interval time.Duration // Options.JoinInterval; negative means polls only

	newcomers []C             // connected and not yet surveyed
	next      time.Time       // the earliest time of the next survey
	asked     map[C]time.Time // unanswered, with the time of their survey
	batch     map[C]struct{}  // of these, the ones surveyed last
}

func newJoins[C comparable](opt Options) joins[C] {
	return joins[C]{interval: opt.JoinInterval, asked: make(map[C]time.Time), batch: make(map[C]struct{})}
}

func (j *joins[C]) due(now time.Time) bool { return j.pending() && !now.Before(j.next) }

// deadline returns when newcomers are due for a survey of their own, or zero if
// none are.
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

// hear records an answer. It reports whether that is the first answer of a
// newcomer, and when the newcomer was surveyed.
func (j *joins[C]) hear(c C) (asked time.Time, isNew bool) {
	asked, isNew = j.asked[c]
	j.forget(c)
	return asked, isNew
}

func (j *joins[C]) forget(c C) {
	delete(j.asked, c)
	delete(j.batch, c)
}

// ask returns the newcomers to survey now.
func (j *joins[C]) ask(now time.Time) []C {
	j.next = now.Add(j.interval)
	return j.take(now)
}

// take records that the newcomers are surveyed now, in a survey of their own or
// in a poll, and returns them.
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

// excuse restarts the wait for all connections that have not answered. It is
// called when the server itself did not run.
func (j *joins[C]) excuse(now time.Time) {
	for c := range j.asked {
		j.asked[c] = now
	}
}

// answered returns when all newcomers that were surveyed have had the given
// time to answer. It is never before now.
func (j *joins[C]) answered(now time.Time, within time.Duration) time.Time {
	last := now
	for _, asked := range j.asked {
		if end := asked.Add(within); end.After(last) {
			last = end
		}
	}
	return last
}

// waiting reports whether a connection of the last batch has not answered.
func (j *joins[C]) waiting() bool { return len(j.batch) > 0 }
