package membership

import (
	"time"

	"github.com/dahernan/gopherdiscovery/internal/times"
)

// poll decides when a survey of all connections begins and ends. It has no
// clock: callers pass the time.
type poll struct {
	Config

	next       time.Time // when the next poll begins; not used while one runs
	running    bool
	start      time.Time // of the running poll
	lastAnswer time.Time // during the running poll
	grace      time.Time // extended end of the poll; zero if not extended
}

func newPoll(c Config, now time.Time) poll { return poll{Config: c, next: now.Add(c.PollTime)} }

// dueAt returns the latest end of the running poll or, between polls, the start
// of the next.
func (p *poll) dueAt() time.Time {
	switch {
	case !p.running:
		return p.next
	case !p.grace.IsZero():
		return p.grace
	}
	return times.Earliest(p.start.Add(p.SurveyTime), p.lastAnswer.Add(p.RecvDeadline))
}

func (p *poll) begin(now time.Time) {
	p.running, p.grace = true, time.Time{}
	p.start, p.lastAnswer = now, now
}

// extend extends the poll, but only once, if its end is noticed so late that
// some answers may not have been read yet. Otherwise it returns false.
func (p *poll) extend(now time.Time) bool {
	if !p.grace.IsZero() || now.Sub(p.dueAt()) <= latePollEnd {
		return false
	}
	p.grace = now.Add(min(p.SurveyTime, graceTime))
	return true
}

func (p *poll) end(now time.Time) {
	p.running = false
	p.next = now.Add(p.PollTime)
}

// isDue reports whether a time has come. Zero never comes.
func isDue(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }
