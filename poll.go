package gopherdiscovery

import "time"

// poll decides when a survey of all connections begins and ends, and whether
// the silence that it has found is believed. It has no clock: callers pass the
// time.
type poll struct {
	surveyTime, recvDeadline, pollTime time.Duration

	limit int // Options.MissedSurveys

	// next is when the next poll begins. It is zero while that depends on the
	// end of the running one.
	next       time.Time
	running    bool
	doubted    bool      // the last poll was doubted
	start      time.Time // of the running poll
	lastAnswer time.Time // during the running poll
	grace      time.Time // extended end of the poll; zero if not extended
}

func newPoll(opt Options, now time.Time) poll {
	return poll{
		surveyTime: opt.SurveyTime, recvDeadline: opt.RecvDeadline, pollTime: opt.PollTime, limit: opt.MissedSurveys,
		next: now.Add(opt.PollTime),
	}
}

// due reports whether a poll has to begin or to end.
func (p *poll) due(now time.Time) bool { return !now.Before(p.deadline()) }

// deadline returns the latest end of the running poll or, between polls, the
// start of the next.
func (p *poll) deadline() time.Time {
	if !p.running {
		return p.next
	}
	end := earliest(p.start.Add(p.surveyTime), p.lastAnswer.Add(p.recvDeadline))
	if !p.grace.IsZero() {
		end = p.grace
	}
	if !p.next.IsZero() {
		end = earliest(end, p.next)
	}
	return end
}

// overtaken reports whether the next poll is due while this one is still
// running.
func (p *poll) overtaken(now time.Time) bool {
	return p.running && !p.next.IsZero() && !now.Before(p.next)
}

func (p *poll) begin(now time.Time) {
	p.running = true
	p.next, p.grace = time.Time{}, time.Time{}
	p.start, p.lastAnswer = now, now
}

// tooLate reports whether the end of the poll is noticed so late that some
// answers may not have been read yet. In that case it extends the poll, but
// only once.
func (p *poll) tooLate(now time.Time) bool {
	if !p.grace.IsZero() || now.Sub(p.deadline()) <= lateAfter {
		return false
	}
	p.grace = now.Add(min(p.surveyTime, graceTime))
	return true
}

// end ends the poll and reports whether it is doubted. It is doubted when many
// names that used to be faster are silent at once although their connections
// are open: the likelier cause is then the server, its network or an overload.
// After the first doubted poll in a row, the next one follows at once. Later
// ones do not, because more polls would make an overload worse.
func (p *poll) end(now time.Time, unexpected, known int) (doubted bool) {
	p.running = false
	again := p.doubted
	p.doubted = many(unexpected, known)
	switch {
	case !p.next.IsZero():
	case p.doubted && !again:
		p.next = now
	default:
		p.next = now.Add(p.pollTime)
	}
	return p.doubted
}

// many reports whether so many of the known names or connections are silent or
// gone that a common cause is likely.
func many(silent, known int) bool { return silent >= minToDoubt && doubtShare*silent > known }

// restart schedules the next poll in PollTime, as after the start of the
// server. A running poll continues until then. Otherwise repeated restarts
// would keep hung clients on the list.
func (p *poll) restart(now time.Time) { p.next = now.Add(p.pollTime) }

// abandon ends the poll without a result.
func (p *poll) abandon() { p.running = false }

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
