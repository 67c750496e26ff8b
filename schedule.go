package gopherdiscovery

import "time"

// schedule decides when to ask which connections, of type C, and when to publish the list. It is a roster with a timetable,
// and like the roster a pure one: events and the time go in, actions come out. It alone detects that the process was stopped.
type schedule[C comparable] struct {
	*roster[C]
	poll        poll
	joins       joins[C]
	edition     edition
	losses      losses
	wasComplete bool      // whether the list was complete when next was called last
	wakeAt      time.Time // when next wanted to be called; at first at once
	greetAt     time.Time // subscribers who come have to wait until then
	restarts    int       // since the list was complete
}

// actions is what a schedule wants done: surveys sent, a list published.
type actions[C comparable] struct {
	survey  []C  // ask these, and no others
	poll    bool // ask everyone
	publish bool // the list may be new, or newly complete or not
	missed  int  // names that have missed the poll that ended
	doubted bool // the poll that ended is not counted
}

func newSchedule[C comparable](opt Options, now time.Time) *schedule[C] {
	return &schedule[C]{roster: newRoster[C](), poll: newPoll(opt, now), joins: newJoins[C](opt), wakeAt: now}
}

func (s *schedule[C]) connect(c C) {
	s.roster.connect(c)
	s.joins.connect(c)
}

func (s *schedule[C]) disconnect(c C, now time.Time) {
	m := s.conns[c]
	if m == nil {
		return
	}
	if s.losses.expired(now) {
		s.losses.begin(now, len(s.conns), s.count, s.sorted())
	}
	follows := s.losses.follows(now)
	most, first := s.losses.end(m.number, now)
	suspect := most || s.poll.doubted && m.owes()
	before := len(s.names)
	s.roster.disconnect(c)
	s.recordChange(before, now, true)
	if s.losses.known >= minConnsToGather || follows && s.losses.known >= minLosses {
		s.edition.lose(now, s.losses.suspect())
	}
	s.joins.disconnect(c)
	if first {
		s.restartAgain(now)
	} else if suspect {
		s.recover(now)
	}
}

// resubscribe is called when a subscriber comes that has a list, or may have
// one.
func (s *schedule[C]) resubscribe(now time.Time) {
	if s.losses.recent(now) {
		s.recover(now)
	}
}

// hear returns why a name is one too many.
func (s *schedule[C]) hear(c C, name string, now time.Time) error {
	before := len(s.names)
	var took time.Duration
	if asked, isNew := s.joins.hear(c); isNew {
		took = now.Sub(asked)
		s.edition.join(took)
	}
	err := s.roster.hear(c, name, now, took)
	s.recordChange(before, now, false)
	if len(s.names) > before && s.losses.lost(name, now) {
		s.recover(now)
	}
	s.poll.lastAnswer = now
	return err
}

// note notes whether an event has changed the names. An event adds names or removes them, never both.
func (s *schedule[C]) recordChange(before int, now time.Time, immediate bool) {
	if len(s.names) != before {
		s.edition.change(now, immediate)
	}
}

// next returns what is due, and when to call again if nothing happens until then. Events must be taken in before: what
// has not been heard by now counts as missed.
func (s *schedule[C]) next(now time.Time) (do actions[C], wake time.Time) {
	if s.poll.overtaken(now) {
		s.poll.abandon()
	}
	if !s.poll.running && s.poll.due(now) {
		do.poll = true
		s.beginPoll(now)
	}
	if s.poll.running && (s.unheard == 0 || s.poll.due(now)) {
		s.endPoll(now, &do)
	}
	if s.joins.due(now) {
		do.survey = s.joins.ask(now)
	}
	opened := s.edition.open(now)
	if opened {
		s.restarts = 0
		s.losses.settle(s.sorted(), now)
	}
	if opened || s.edition.due(now, s.joins.waiting()) {
		s.edition.published(now)
		do.publish = true
	}
	if s.wasComplete != s.edition.complete {
		s.wasComplete = s.edition.complete
		do.publish = true
	}
	s.wakeAt = earliest(s.wake(), now.Add(serverTick))
	if s.greetAt.After(now) {
		s.wakeAt = earliest(s.wakeAt, s.greetAt)
	}
	return do, s.wakeAt
}

// waited tells when the loop runs again after it had nothing to do. If that is much later than next wanted, the process was
// stopped, within the loop's work or after it.
func (s *schedule[C]) woke(idleSince, now time.Time) {
	switch {
	case now.Sub(s.wakeAt) > serverHalt:
		s.resume(now)
	case now.Sub(s.wakeAt) > lateAfter && now.Sub(idleSince) > lateAfter && now.Sub(s.greetAt) > serverHalt:
		// Perhaps it was stopped for a moment. The ends of connections in that time are told before those who come now.
		s.greetAt = now.Add(graceTime)
	}
}

// mayGreet reports whether subscribers who come may be sent the list. It waits
// until the ends of connections are told that came before them: nobody is to
// see a dead name again that others have taken off the list.
func (s *schedule[C]) mayGreet(now time.Time) bool {
	return !now.Before(s.greetAt) && (s.edition.firstLoss.IsZero() || s.edition.due(now, s.joins.waiting()))
}

// restart makes the list incomplete, as after the server's start, until all who may be on their way back have had PollTime to
// come and have been asked. Those who come in time never left.
func (s *schedule[C]) restart(now time.Time) {
	s.edition.close()
	s.poll.restart(now)
}

// restartAgain restarts even if the list is incomplete. It returns false instead when that happens again and again: the list
// is not incomplete without end.
func (s *schedule[C]) restartAgain(now time.Time) bool {
	if s.restarts == maxRestarts {
		return false
	}
	s.restarts++
	s.restart(now)
	return true
}

// recover restarts after a mass loss, unless the list is incomplete anyway.
func (s *schedule[C]) recover(now time.Time) {
	if s.edition.complete {
		s.restart(now)
	}
}

// resume is called when the server was stopped for a while. Those who have lost their connections meanwhile come back behind
// the ends of these, and a poll that was running has not asked them. It does not wait for them without end when it is stopped
// again and again.
func (s *schedule[C]) resume(now time.Time) {
	s.roster.excuse(now)
	s.joins.excuse(now)
	if s.restartAgain(now) {
		s.poll.abandon()
		s.greetAt = now.Add(graceTime)
	}
}

func (s *schedule[C]) beginPoll(now time.Time) {
	s.startPoll(now)
	s.poll.begin(now)
	s.joins.take(now)
	if s.edition.opening.IsZero() {
		// The list waits for everyone who may still answer, but not for those who have had their time and kept silent.
		s.edition.openAt(s.joins.answered(now, s.poll.surveyTime))
	}
}

func (s *schedule[C]) endPoll(now time.Time, do *actions[C]) {
	silent, unexpected, known := 0, 0, 0
	if s.unheard > 0 {
		if s.poll.tooLate(now) {
			return
		}
		silent, unexpected, known = s.silent(now)
	}
	if !s.edition.complete && !s.edition.opening.IsZero() {
		s.edition.openAt(now) // everyone was asked since the list is incomplete
	}
	do.doubted = s.poll.end(now, unexpected, known)
	if s.unheard > 0 {
		var patience time.Duration
		if many(silent, known) || s.roster.strained() {
			patience = maxSilence // with the fast too, where many are slow
		}
		before := len(s.names)
		do.missed = s.roster.endPoll(now, s.poll.limit, patience, do.doubted)
		s.recordChange(before, now, true)
	}
}

// wake is when something will be due.
func (s *schedule[C]) wake() time.Time {
	at := s.poll.deadline()
	for _, other := range []time.Time{s.joins.deadline(), s.edition.deadline(s.joins.waiting())} {
		if !other.IsZero() {
			at = earliest(at, other)
		}
	}
	return at
}
