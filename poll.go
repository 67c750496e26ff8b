package gopherdiscovery

import "time"

// poll times the surveys of everyone: when one begins, when it ends, and whether the silence that it met is believed.
type poll struct {
	surveyTime, recvDeadline, pollTime time.Duration
	limit                              int // polls in a row that a silent name misses until it is dropped

	next       time.Time // when the next begins; zero while that depends on the one that is running
	running    bool
	doubted    bool // the last one was
	start      time.Time
	lastAnswer time.Time // within the poll
	grace      time.Time // the poll's end after it was late; zero if it was not
}

func newPoll(opt Options, now time.Time) poll {
	return poll{
		surveyTime: opt.SurveyTime, recvDeadline: opt.RecvDeadline, pollTime: opt.PollTime, limit: opt.MissedSurveys,
		next: now.Add(opt.PollTime),
	}
}

// due reports whether a poll is to begin or to end.
func (p *poll) due(now time.Time) bool { return !now.Before(p.deadline()) }

// deadline is when the poll that is running ends at the latest, or the next begins.
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

// overtaken reports whether the next poll is to begin although this one is
// still running.
func (p *poll) overtaken(now time.Time) bool {
	return p.running && !p.next.IsZero() && !now.Before(p.next)
}

func (p *poll) begin(now time.Time) {
	p.running = true
	p.next, p.grace = time.Time{}, time.Time{}
	p.start, p.lastAnswer = now, now
}

// tooLate reports whether the end of the poll is noticed so late that answers may not have been read yet, and then gives it
// more time, once.
func (p *poll) tooLate(now time.Time) bool {
	if !p.grace.IsZero() || now.Sub(p.deadline()) <= lateAfter {
		return false
	}
	p.grace = now.Add(min(p.surveyTime, graceTime))
	return true
}

// end ends the poll, and reports whether it is doubted: when many names that
// used to be faster are silent at once, on connections that stand, the server,
// its network or an overload is the likelier cause. The first time another poll
// follows at once; an overload would be the worse for more.
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

// many reports whether so many of the names that are known are silent that it
// is hardly for reasons of their own.
func many(silent, known int) bool { return silent >= minToDoubt && doubtShare*silent > known }

// restart makes the next poll begin in PollTime, as after the server's start.
// One that is running goes on until then: otherwise those that hang would stay
// for as long as there are reasons to restart.
func (p *poll) restart(now time.Time) { p.next = now.Add(p.pollTime) }

// abandon ends the poll without a result.
func (p *poll) abandon() { p.running = false }

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
