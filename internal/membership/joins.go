package membership

import (
	"slices"
	"time"
)

// joins decides when to survey new connections, of type C, and remembers which
// of them have not answered yet.
type joins[C comparable] struct {
	Config

	newcomers []C             // connected and not yet surveyed
	next      time.Time       // the earliest time of the next survey
	asked     map[C]time.Time // unanswered, with the time of their survey; zero for newcomers

	// recent are those surveyed, oldest first. Some may have answered or ended,
	// or have had SurveyTime; forget drops these from the front.
	recent []C
}

func newJoins[C comparable](c Config, now time.Time) joins[C] {
	return joins[C]{Config: c, next: now, asked: make(map[C]time.Time)}
}

// dueAt returns when newcomers are due for a survey of their own, or zero if
// none are.
func (j *joins[C]) dueAt() time.Time {
	if len(j.newcomers) == 0 || j.JoinInterval < 0 {
		return time.Time{}
	}
	return j.next
}

func (j *joins[C]) connect(c C) {
	j.newcomers = append(j.newcomers, c)
	j.asked[c] = time.Time{}
}

func (j *joins[C]) disconnect(c C) {
	if asked, is := j.asked[c]; is && asked.IsZero() {
		j.newcomers = slices.DeleteFunc(j.newcomers, func(other C) bool { return other == c })
	}
	delete(j.asked, c)
}

// hear records an answer. If it is the first one of a newcomer, hear returns
// true, and when the newcomer was surveyed.
func (j *joins[C]) hear(c C) (asked time.Time, isNew bool) {
	asked = j.asked[c]
	if isNew = !asked.IsZero(); isNew {
		delete(j.asked, c)
	}
	return asked, isNew
}

// ask returns the newcomers to survey now.
func (j *joins[C]) ask(now time.Time) []C {
	j.next = now.Add(j.JoinInterval)
	return j.askAll(now)
}

// askAll records that the newcomers are surveyed now, in a survey of their own
// or in a poll, and returns them.
func (j *joins[C]) askAll(now time.Time) []C {
	for _, c := range j.newcomers {
		j.asked[c] = now
	}
	j.recent = append(j.recent, j.newcomers...)
	asked := j.newcomers
	j.newcomers = nil
	return asked
}

// forget drops the oldest of those surveyed that are no longer waited for, so
// that areComingIn need not look at them.
func (j *joins[C]) forget(now time.Time) {
	for len(j.recent) > 0 && !j.isAwaited(j.recent[0], now) {
		j.recent = j.recent[1:]
	}
}

// areComingIn reports whether a newcomer is about to be surveyed, or has been
// and still has time to answer.
func (j *joins[C]) areComingIn(now time.Time) bool {
	return !j.dueAt().IsZero() || slices.ContainsFunc(j.recent, func(c C) bool { return j.isAwaited(c, now) })
}

// isAwaited reports whether a newcomer that was surveyed may still answer.
func (j *joins[C]) isAwaited(c C, now time.Time) bool {
	asked, is := j.asked[c]
	return is && now.Sub(asked) < j.SurveyTime
}
