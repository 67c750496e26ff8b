package wire

import (
	"time"

	"github.com/dahernan/gopherdiscovery/internal/times"
)

// isAway reports whether the server is not connected, or has missed its beats.
func (src *Source) isAway() bool { return src.returned.IsZero() }

// isNew reports whether the server has returned less than three beats ago. What
// it says may then be from before.
func (src *Source) isNew(now time.Time) bool { return now.Sub(src.returned) < src.maxSilence() }

// isInGrace reports whether the list of a server that has gone away still
// counts.
func (src *Source) isInGrace() bool { return !src.graceEnd.IsZero() && !src.blind }

// maxSilence returns how long the server may be silent before it is away. A
// server in the plain form may be silent for any time.
func (src *Source) maxSilence() time.Duration {
	if src.beat == 0 {
		return missedBeats * DefaultBeat
	}
	return max(missedBeats*src.beat, shortestSilence)
}

// longestSilence returns how long the server may be silent before its
// connection is given up.
func (src *Source) longestSilence() time.Duration { return max(LostBeats*src.beat, VanishedAfter) }

// goAway records that the server is away. If its list counts, its grace begins.
func (s *Sources) goAway(src *Source, now time.Time) {
	if src.isAway() {
		return
	}
	s.barMissed(src, now)
	src.blind = src.blind || now.Sub(src.lastForgotten) <= src.minBarTime()
	if src.counts {
		src.graceEnd = now.Add(GraceOfAway)
	}
	src.counts, src.lagging = false, true
	src.left, src.returned = now, time.Time{}
}

// DueAt returns when a server has been silent for so long that it is away or,
// if that has passed, that its connection is given up. A server that has no
// list yet says so less often than it beats. DueAt returns false if the server
// is not connected, or sends the plain form.
func (src *Source) DueAt() (due time.Time, ok bool) {
	silence := src.maxSilence()
	switch {
	case src.isAway():
		silence = src.longestSilence()
	case src.hasNoList():
		silence += waitInterval
	}
	return src.since.Add(silence), src.Connected && src.beat > 0
}

// Deadline returns when to call CheckSilence, or zero if nothing is expected.
func (s *Sources) Deadline() (first time.Time) {
	add := func(at time.Time) {
		if !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	for _, src := range s.All {
		if due, ok := src.DueAt(); ok {
			add(due)
		}
		add(src.graceEnd)
		if src.Connected && src.beat == 0 {
			add(src.nextLift())
		}
		if !s.begun {
			add(src.firstAt)
		}
	}
	return first
}

// CheckSilence finds the servers that have been silent for too long, which are
// away, and returns those whose connection is to be given up. It also ends what
// ends by itself: the grace of lists, the wait for a first list, and what is
// barred for servers in the plain form, from which no message may come.
func (s *Sources) CheckSilence(now time.Time) (lost []*Source) {
	for _, src := range s.All {
		if !src.graceEnd.IsZero() && !now.Before(src.graceEnd) {
			src.graceEnd = time.Time{}
			s.barListed(src)
		}
		if !now.Before(src.firstAt) {
			src.firstAt = time.Time{}
		}
		if src.Connected && src.beat == 0 && !src.isAway() {
			src.liftOld(now)
		}
		due, ok := src.DueAt()
		switch {
		case !ok || now.Before(due):
		case src.isAway():
			lost = append(lost, src)
			src.since = now
		default:
			s.goAway(src, now)
		}
	}
	return lost
}

// Excuse is called when the subscriber itself did not run for a while. The
// silence of a server begins anew, one that is away has the time of its missed
// beats to speak again, and all graces last longer. After a stop in which
// servers could have gone away, their messages are read one after the other: a
// name that one has removed, another may be about to add.
func (s *Sources) Excuse(now time.Time, stopped time.Duration) {
	for _, src := range s.All {
		since := now
		if src.isAway() {
			since = now.Add(src.maxSilence() - src.longestSilence())
		}
		src.since = times.Latest(src.since, since)
		if !src.graceEnd.IsZero() {
			src.graceEnd = src.graceEnd.Add(stopped)
		}
		if stopped >= shortestSilence {
			src.excusedUntil = now.Add(src.maxSilence())
		}
	}
}
