package gopherdiscovery

import (
	"slices"
	"time"
)

// settleTime is how long a join waits for the other newcomers that were asked with it, and how far apart the lists are that
// further names behind known connections cause, so that a burst is a few lists.
const settleTime = 5 * time.Millisecond

const (
	// A poll whose end is noticed this late is given graceTime more.
	lateAfter = 50 * time.Millisecond
	graceTime = 200 * time.Millisecond

	// A server that runs this late was stopped.
	haltedAfter = 500 * time.Millisecond

	// From this many silent names, if they are more than half, a poll is doubted.
	doubtFrom = 3
)

// schedule decides when to ask whom and when to publish what. It is a roster with a timetable, and like the roster a pure
// one: events and the time go in, actions come out.
type schedule struct {
	*roster
	opt Options

	nextPoll   time.Time
	polling    bool
	pollStart  time.Time
	lastAnswer time.Time // within the poll
	grace      time.Time // the poll's end after it was late; zero if it was not
	doubts     int       // polls in a row that were not counted

	newcomers []connID // connected, not asked yet
	nextJoin  time.Time
	asked     map[connID]time.Time // newcomers that have not answered yet, and when they were asked
	batch     map[connID]struct{}  // of these, the ones asked last

	opening   time.Time // no list is published before; zero until the first poll
	opened    bool
	changed   time.Time // the first change since the last list; zero without one
	urgent    bool      // someone has left: the change is not to wait
	prompt    bool      // a newcomer has joined: it waits for others of its batch only
	published []string
	lastList  time.Time // when it was published

	nextRepeat time.Time
	wakeAt     time.Time // when next wanted to be called
}

// actions is what a schedule wants done: surveys sent, a list published.
type actions struct {
	survey  []connID // ask these, and no others
	poll    bool     // ask everyone
	publish bool     // published is new
	repeat  bool     // published is to be sent again
	missed  int      // names that have missed the poll that ended
	doubted bool     // the poll that ended is not counted
}

func newSchedule(opt Options, now time.Time) *schedule {
	return &schedule{
		roster:   newRoster(),
		opt:      opt,
		nextPoll: now.Add(opt.PollTime),
		asked:    make(map[connID]time.Time),
		batch:    make(map[connID]struct{}),
	}
}

func (s *schedule) connect(id connID) {
	s.roster.connect(id)
	s.newcomers = append(s.newcomers, id)
}

func (s *schedule) disconnect(id connID, now time.Time) {
	s.noting(now, true, func() { s.roster.disconnect(id) })
	s.forget(id)
	s.newcomers = slices.DeleteFunc(s.newcomers, func(other connID) bool { return other == id })
}

// hear returns why a name is one too many.
func (s *schedule) hear(id connID, name string, now time.Time) (err error) {
	s.noting(now, false, func() { err = s.roster.hear(id, name) })
	if _, isNew := s.asked[id]; isNew {
		s.prompt = true
		s.forget(id)
	}
	s.lastAnswer = now
	return err
}

func (s *schedule) forget(id connID) {
	delete(s.asked, id)
	delete(s.batch, id)
}

// noting notes whether an event changes the list.
func (s *schedule) noting(now time.Time, urgent bool, event func()) {
	before := len(s.names)
	event()
	if len(s.names) == before { // an event adds names or removes them, never both
		return
	}
	if s.changed.IsZero() {
		s.changed = now
	}
	s.urgent = s.urgent || urgent
}

// next returns what is due, and when to call again if nothing happens until then. Events must be taken in before: what
// has not been heard by now counts as missed.
func (s *schedule) next(now time.Time) (do actions, wake time.Time) {
	if !s.wakeAt.IsZero() && now.Sub(s.wakeAt) > haltedAfter {
		s.resume(now)
	}
	if !s.polling && !now.Before(s.nextPoll) {
		do.poll = true
		s.startPolling(now)
	}
	if s.polling && (s.unheard == 0 || !now.Before(s.pollEnd())) {
		s.endPolling(now, &do)
	}
	if len(s.newcomers) > 0 && s.opt.JoinInterval >= 0 && !now.Before(s.nextJoin) {
		do.survey = s.newcomers
		s.nextJoin = now.Add(s.opt.JoinInterval)
		s.askNewcomers(now)
	}
	do.publish = s.publish(now)
	if s.opened && s.published != nil && !now.Before(s.nextRepeat) {
		do.repeat = !do.publish
		s.nextRepeat = now.Add(s.opt.PollTime)
	}
	s.wakeAt = s.wake()
	return do, s.wakeAt
}

// resume is called when the server was stopped for a while. Like one that has just started it says nothing before it has asked
// everyone: the ends of connections that it has missed come in after those who connect now.
func (s *schedule) resume(now time.Time) {
	if !s.opened {
		return
	}
	s.opened = false
	s.opening = now.Add(2 * s.opt.SurveyTime) // the end of the poll comes before
	if !s.polling {
		s.nextPoll = now
	}
}

// endPolling ends the poll. Before it holds anyone's silence against them it doubts itself: a server that was stopped for a
// while finds answers that it has not read yet, and when most are silent at once, on connections that stand, it is rather its own
// network that failed.
func (s *schedule) endPolling(now time.Time, do *actions) {
	if s.unheard > 0 && s.grace.IsZero() && now.Sub(s.pollEnd()) > lateAfter {
		s.grace = now.Add(min(s.opt.SurveyTime, graceTime))
		return
	}
	s.polling = false
	s.opened = true
	s.nextPoll = now.Add(s.opt.PollTime)
	silent, known := 0, 0
	if s.unheard > 0 {
		silent, known = s.silent()
	}
	switch dubious := silent >= doubtFrom && 2*silent > known; {
	case !dubious:
		s.doubts = 0
	case s.doubts < s.opt.MissedSurveys:
		s.doubts++
		do.doubted = true
		s.nextPoll = now
		return
	}
	do.missed = silent
	if silent > 0 {
		s.noting(now, true, func() { s.endPoll(s.opt.MissedSurveys) })
	}
}

func (s *schedule) startPolling(now time.Time) {
	s.startPoll()
	s.polling = true
	s.grace = time.Time{}
	s.pollStart = now
	s.lastAnswer = now
	s.askNewcomers(now)
	if !s.opening.IsZero() {
		return
	}
	// The first list waits for everyone who may still answer, but not for those who have had their time and kept silent.
	s.opening = now
	for _, asked := range s.asked {
		if answered := asked.Add(s.opt.SurveyTime); answered.After(s.opening) {
			s.opening = answered
		}
	}
}

func (s *schedule) askNewcomers(now time.Time) {
	if len(s.newcomers) == 0 {
		return
	}
	clear(s.batch)
	for _, id := range s.newcomers {
		s.asked[id] = now
		s.batch[id] = struct{}{}
	}
	s.newcomers = nil
}

// pollEnd is the deadline of the poll that is running.
func (s *schedule) pollEnd() time.Time {
	if !s.grace.IsZero() {
		return s.grace
	}
	return earliest(s.pollStart.Add(s.opt.SurveyTime), s.lastAnswer.Add(s.opt.RecvDeadline))
}

// publish tells whether a list is due, and makes it.
func (s *schedule) publish(now time.Time) bool {
	if !s.opened {
		s.opened = !s.opening.IsZero() && !now.Before(s.opening)
	}
	if !s.opened {
		return false
	}
	first := s.published == nil
	if !first && (s.changed.IsZero() || now.Before(s.publishTime())) {
		return false
	}
	s.changed = time.Time{}
	s.urgent, s.prompt = false, false
	if !first && slices.Equal(s.sorted(), s.published) {
		return false
	}
	s.published = s.sorted()
	s.lastList = now
	if first {
		s.nextRepeat = now.Add(s.opt.PollTime)
	}
	return true
}

// publishTime is when the change that is noted goes out.
func (s *schedule) publishTime() time.Time {
	settled := s.lastList.Add(settleTime)
	switch {
	case s.urgent:
		return s.changed
	case len(s.batch) > 0:
		return s.changed.Add(settleTime)
	case !s.prompt && settled.After(s.changed):
		return settled
	}
	return s.changed
}

// wake is when something will be due.
func (s *schedule) wake() time.Time {
	at := s.nextPoll
	if s.polling {
		at = s.pollEnd()
	}
	if len(s.newcomers) > 0 && s.opt.JoinInterval >= 0 {
		at = earliest(at, s.nextJoin)
	}
	if !s.opened && !s.opening.IsZero() {
		at = earliest(at, s.opening)
	}
	if s.opened && !s.changed.IsZero() {
		at = earliest(at, s.publishTime())
	}
	if s.opened && s.published != nil {
		at = earliest(at, s.nextRepeat)
	}
	return at
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
