package gopherdiscovery

import "time"

// schedule decides when to survey which connections, of type C, and when to
// publish the list. It adds the timing to a roster. Like the roster it has no
// socket, no clock and no goroutine: events and the time go in, actions come
// out. It alone detects that the process was stopped, see restarts.
type schedule[C comparable] struct {
	*roster[C]
	poll        poll
	joins       joins[C]
	edition     edition
	losses      losses
	restarts    restarts
	wasComplete bool      // as of the last call of next
	wakeAt      time.Time // when to call next again
}

// actions are what the server has to do next.
type actions[C comparable] struct {
	survey  []C  // survey these connections
	poll    bool // survey all connections
	publish bool // the list or its completeness may have changed
	missed  int  // names that missed the poll that has just ended
	doubted bool // that poll does not count
}

func newSchedule[C comparable](opt Options, now time.Time) *schedule[C] {
	s := &schedule[C]{roster: newRoster[C](), poll: newPoll(opt, now), joins: newJoins[C](opt), wakeAt: now}
	s.restarts = restarts{poll: &s.poll, edition: &s.edition, losses: &s.losses}
	return s
}

// woke records that the loop runs again after it was idle. If the process was
// stopped meanwhile, no client is blamed for its silence in that time.
func (s *schedule[C]) woke(idleSince, now time.Time) {
	if s.restarts.woke(s.wakeAt, idleSince, now) {
		s.roster.excuse(now)
		s.joins.excuse(now)
	}
}

// mayGreet reports whether new subscribers may be sent the list. They wait
// until earlier ends of connections are published, so that they do not receive
// a dead name that they have already seen leave through another server.
func (s *schedule[C]) mayGreet(now time.Time) bool {
	return !now.Before(s.restarts.greetAt) && (s.edition.lost == 0 || s.edition.due(now, s.joins.waiting()))
}

// resubscribe records that a subscriber has connected that has a list, or may
// have one. After a loss of most connections the schedule restarts, because the
// subscriber may be back before the clients are.
func (s *schedule[C]) resubscribe(now time.Time) {
	if s.losses.recent(now) {
		s.restarts.recover(now)
	}
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
		s.edition.lose(now)
	}
	s.joins.disconnect(c)
	if first {
		s.restarts.again(now)
	} else if suspect {
		s.restarts.recover(now)
	}
}

// hear records an answer. It returns an error if the name exceeds a limit.
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
		s.restarts.recover(now)
	}
	s.poll.lastAnswer = now
	return err
}

// recordChange records a change of the names, if their number differs from
// before. An event either adds names or removes them, so their number tells.
func (s *schedule[C]) recordChange(before int, now time.Time, immediate bool) {
	if len(s.names) != before {
		s.edition.change(now, len(s.names), immediate)
	}
}

// next returns what is due, and when to call it again if nothing happens
// before. All pending events must be recorded first: an answer that is not
// recorded by now counts as missed.
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
	if s.edition.opens(now) {
		s.restarts.waitForReturns(s.sorted(), now)
	}
	opened := s.edition.open(now)
	if opened {
		s.restarts.count = 0
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
	if s.restarts.greetAt.After(now) {
		s.wakeAt = earliest(s.wakeAt, s.restarts.greetAt)
	}
	return do, s.wakeAt
}

func (s *schedule[C]) beginPoll(now time.Time) {
	s.startPoll(now)
	s.poll.begin(now)
	s.joins.take(now)
	if s.edition.opening.IsZero() {
		// The list waits for all newcomers that still have time to answer,
		// but not for those whose time is over.
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
		s.edition.openAt(now) // all were surveyed since the list is incomplete
	}
	do.doubted = s.poll.end(now, unexpected, known)
	if s.unheard > 0 {
		var patience time.Duration
		if many(silent, known) || s.roster.strained() {
			patience = maxSilence // for fast names too when many are slow
		}
		before := len(s.names)
		do.missed = s.roster.endPoll(now, s.poll.limit, patience, do.doubted)
		s.recordChange(before, now, true)
	}
}

// wake returns when something will be due next.
func (s *schedule[C]) wake() time.Time {
	at := s.poll.deadline()
	for _, other := range []time.Time{s.joins.deadline(), s.edition.deadline(s.joins.waiting())} {
		if !other.IsZero() {
			at = earliest(at, other)
		}
	}
	return at
}
