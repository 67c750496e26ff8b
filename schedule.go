package gopherdiscovery

import "time"

// schedule decides when to ask which connections, of type C, and when to publish the list. It is a roster with a timetable,
// and like the roster a pure one: events and the time go in, actions come out. It alone detects that the process was stopped.
type schedule[C comparable] struct {
	*roster[C]
	poll    poll
	joins   joins[C]
	edition edition
	wakeAt  time.Time // when next wanted to be called
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
	return &schedule[C]{roster: newRoster[C](), poll: newPoll(opt, now), joins: newJoins[C](opt)}
}

func (s *schedule[C]) connect(c C) {
	s.roster.connect(c)
	s.joins.connect(c)
}

func (s *schedule[C]) disconnect(c C, now time.Time) {
	before := len(s.names)
	s.roster.disconnect(c)
	s.note(before, now, true)
	s.joins.disconnect(c)
}

// hear returns why a name is one too many.
func (s *schedule[C]) hear(c C, name string, now time.Time) error {
	before := len(s.names)
	err := s.roster.hear(c, name)
	s.note(before, now, false)
	if s.joins.hear(c) {
		s.edition.joined = true
	}
	s.poll.lastAnswer = now
	return err
}

// note notes whether an event has changed the names. An event adds names or removes them, never both.
func (s *schedule[C]) note(before int, now time.Time, urgent bool) {
	if len(s.names) != before {
		s.edition.note(now, urgent)
	}
}

// next returns what is due, and when to call again if nothing happens until then. Events must be taken in before: what
// has not been heard by now counts as missed.
func (s *schedule[C]) next(now time.Time) (do actions[C], wake time.Time) {
	if !s.wakeAt.IsZero() && now.Sub(s.wakeAt) > serverHalt {
		s.resume(now, &do)
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
	if opened || s.edition.due(now, s.joins.waiting()) {
		s.edition.published(now)
		do.publish = true
	}
	s.wakeAt = s.wake()
	return do, s.wakeAt
}

// resume is called when the server was stopped for a while. Like one that has just started it has to ask everyone before the
// list is complete: the ends of connections that it has missed come in after those who connect now.
func (s *schedule[C]) resume(now time.Time, do *actions[C]) {
	if !s.edition.complete {
		return
	}
	s.edition.openAt(now.Add(2 * s.poll.surveyTime)) // the end of the poll comes before
	s.poll.hurry(now)
	do.publish = true
}

func (s *schedule[C]) beginPoll(now time.Time) {
	s.startPoll()
	s.poll.begin(now)
	s.joins.take(now)
	if s.edition.opening.IsZero() {
		// The list waits for everyone who may still answer, but not for those who have had their time and kept silent.
		s.edition.openAt(s.joins.answered(now, s.poll.surveyTime))
	}
}

func (s *schedule[C]) endPoll(now time.Time, do *actions[C]) {
	silent, known := 0, 0
	if s.unheard > 0 {
		if s.poll.tooLate(now) {
			return
		}
		silent, known = s.silent()
	}
	if !s.edition.complete {
		s.edition.openAt(now)
	}
	if do.doubted = s.poll.end(now, silent, known); do.doubted {
		return
	}
	do.missed = silent
	if silent > 0 {
		before := len(s.names)
		s.roster.endPoll(s.poll.limit)
		s.note(before, now, true)
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
