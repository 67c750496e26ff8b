package membership

import (
	"time"

	"github.com/dahernan/gopherdiscovery/internal/times"
)

// Config holds the settings of a server. All times are positive, except that a
// negative JoinInterval surveys newcomers only in polls.
type Config struct {
	SurveyTime, RecvDeadline, PollTime time.Duration // of a poll
	JoinInterval                       time.Duration // between surveys of newcomers
	ReturnTime                         time.Duration // for clients to come back
	MissedSurveys                      int           // polls
}

// Schedule decides when to survey which connections, of type C, who is on the
// list, and when to publish it. All events must be recorded before a call of
// Next: an answer that is not recorded by then counts as missed.
type Schedule[C comparable] struct {
	roster     roster[C]
	poll       poll
	joins      joins[C]
	departures departures
	pace       pace
	start      start
	limit      int       // polls that a silent client may miss
	arrived    time.Time // when something last came in
	silent     []string  // in the last poll

	// All times inside are running time: those of callers without the time for
	// which the process was stopped.
	stoppedFor time.Duration
	alarm      times.Alarm // when to call Next again

	handshakes Handshakes
}

// Actions are what the server has to do next.
type Actions[C comparable] struct {
	Survey  []C  // survey these connections
	Poll    bool // survey all connections
	Publish bool // the list or its completeness may have changed
	Missed  int  // names that missed the poll that has just ended
	Doubted bool // that poll counts as missed by none

	// Forget reports whether names leave that have had time to return: after a
	// mass departure, or after the server was stopped. The server then forgets
	// the lists that it has published.
	Forget bool
}

// Handshakes is the state of the handshakes at the survey URL.
type Handshakes struct {
	Waiting bool      // one waits for this process
	Late    time.Time // when one last ended that had to wait for long; zero if none
	Began   time.Time // when the last one began; zero if none
}

// areLate reports whether a handshake waits for this process, or has just had
// to wait for long.
func (h Handshakes) areLate(now time.Time) bool { return h.Waiting || now.Sub(h.Late) < herdTime }

// New returns a schedule that starts now.
func New[C comparable](c Config, now time.Time) *Schedule[C] {
	return &Schedule[C]{
		roster: newRoster[C](), poll: newPoll(c, now), joins: newJoins[C](c, now), departures: newDepartures(c),
		start: newStart(c, now), limit: c.MissedSurveys, alarm: times.Alarm{At: now},
	}
}

// Woke records that the caller runs again. If that is much later than Next has
// asked for, the process was stopped. That time is no silence of any client,
// and has not passed for anything else. Woke returns the length of the stop, or
// zero if there was none.
func (s *Schedule[C]) Woke(now time.Time) (stopped time.Duration) {
	stopped = s.alarm.Stopped(s.running(now), stopTime)
	if stopped > 0 {
		s.stoppedFor += stopped
		s.departures.stoppedAt = s.alarm.At
		s.start.stop(s.alarm.At)
	}
	return stopped
}

// running returns the running time at a time.
func (s *Schedule[C]) running(at time.Time) time.Time { return at.Add(-s.stoppedFor) }

// Connect records a new connection from a remote host. The host is empty if
// that is unknown.
func (s *Schedule[C]) Connect(c C, host string, now time.Time) {
	s.arrived = s.running(now)
	s.roster.connect(c, host)
	s.joins.connect(c)
}

// Disconnect records the end of a connection. TimedOut says that the other side
// has not ended it: nothing has arrived there for too long.
func (s *Schedule[C]) Disconnect(c C, timedOut bool, now time.Time) {
	s.joins.disconnect(c)
	names := s.roster.disconnect(c)
	s.departures.end(names, len(s.roster.names), s.roster.heard, timedOut, s.running(now))
}

// Hear records an answer. It returns an error if the name exceeds a limit.
func (s *Schedule[C]) Hear(c C, name string, now time.Time) error {
	now = s.running(now)
	var took time.Duration
	if asked, isNew := s.joins.hear(c); isNew {
		took = now.Sub(asked)
		s.pace.recordAnswerTime(took)
		s.arrived = now
	}
	s.poll.lastAnswer = now
	s.answered(now)
	listed := len(s.roster.names)
	isNew, err := s.roster.hear(c, name, now, took)
	if isNew {
		s.arrived = now
		s.departures.announce(name)
	}
	if len(s.roster.names) > listed {
		s.pace.add(now, len(s.roster.names))
	}
	return err
}

// Leave records that a connection does not announce a name any more, because
// its client has said so or may not announce it.
func (s *Schedule[C]) Leave(c C, name string, now time.Time) {
	if s.roster.leave(c, name) {
		s.pace.remove(s.running(now))
	}
}

// Check records that an answer of a connection is being checked. Nothing else
// of the connection is read until Hear, Leave or CheckEnded.
func (s *Schedule[C]) Check(c C, name string, now time.Time) {
	now = s.running(now)
	if s.roster.announces(c, name) {
		s.answered(now)
	}
	s.roster.check(c, name, now)
}

// answered is called before an answer is recorded. The first one of all names
// shows that the path to clients works again.
func (s *Schedule[C]) answered(now time.Time) {
	if s.roster.heard == 0 {
		s.departures.heardAgainAt = now
	}
}

// CheckEnded records that the answer that was being checked is dropped.
func (s *Schedule[C]) CheckEnded(c C) { s.roster.checkEnded(c) }

// Announces reports whether a connection announces a name.
func (s *Schedule[C]) Announces(c C, name string) bool { return s.roster.announces(c, name) }

// SetHandshakes records the state of the handshakes. It must be called before
// Next while NeedsHandshakes reports true, and before AreComingIn.
func (s *Schedule[C]) SetHandshakes(h Handshakes) { s.handshakes = h }

// NeedsHandshakes reports whether something waits for clients that may be
// coming in.
func (s *Schedule[C]) NeedsHandshakes() bool {
	return !s.start.complete || len(s.departures.returning) > 0 || s.poll.running && s.roster.unanswered > 0
}

// Next returns what is due, and when to call it again if nothing happens
// before.
func (s *Schedule[C]) Next(now time.Time) (do Actions[C], wake time.Time) {
	at := now
	now = s.running(at)
	if !s.poll.running && isDue(s.poll.dueAt(), now) {
		do.Poll = true
		s.poll.begin(now)
		s.roster.beginPoll(now)
		s.joins.askAll(now)
	}
	if s.poll.running && (s.roster.unanswered == 0 || isDue(s.poll.dueAt(), now) && !s.poll.extend(now)) {
		s.poll.end(now)
		var changed bool
		do.Missed, do.Doubted, changed = s.roster.endPoll(now, s.limit, s.handshakes.areLate(at))
		if changed {
			s.pace.remove(now)
		}
		s.silent = s.roster.silentNames(len(s.departures.away))
	}
	if isDue(s.roster.overdueAt, now) && s.roster.dropSilent(now, s.limit, maxSilence) {
		s.pace.remove(now)
	}
	if isDue(s.joins.dueAt(), now) {
		do.Survey = s.joins.ask(now)
	}
	s.joins.forget(now)
	comingIn := s.AreComingIn(at)
	var departed []string
	departed, do.Forget = s.departures.depart(now, comingIn, s.roster.heard == 0)
	for _, name := range departed {
		s.roster.remove(name)
		s.pace.remove(now)
	}
	if s.start.endIfOver(now, comingIn) || isDue(s.pace.dueAt(s.joins.areComingIn(now)), now) {
		s.pace.published(now)
		do.Publish = true
	}
	s.alarm.At = times.Earliest(s.nextDueAt(now), now.Add(tick))
	return do, s.alarm.At.Add(s.stoppedFor)
}

// nextDueAt returns when something will be due next. That is comingInPause from
// now if something is due that has to wait for clients that are coming in.
func (s *Schedule[C]) nextDueAt(now time.Time) time.Time {
	at := s.poll.dueAt()
	for _, due := range []time.Time{
		s.roster.overdueAt, s.joins.dueAt(), s.pace.dueAt(s.joins.areComingIn(now)),
		s.departures.gatheredAt(), s.departures.returningAt(s.roster.heard == 0), s.start.dueAt(),
	} {
		switch {
		case due.IsZero():
		case due.After(now):
			at = times.Earliest(at, due)
		default:
			at = times.Earliest(at, now.Add(comingInPause))
		}
	}
	return at
}

// AreComingIn reports whether clients are about to connect or to answer for the
// first time, and wait for this server.
func (s *Schedule[C]) AreComingIn(now time.Time) bool {
	return s.joins.areComingIn(s.running(now)) || s.handshakes.areLate(now)
}

// Arrived returns when something last came in: a connection, a handshake, or a
// name that no other connection announces. It is long ago if nothing has.
func (s *Schedule[C]) Arrived() time.Time {
	return times.Latest(s.arrived.Add(s.stoppedFor), s.handshakes.Began)
}

// IsComplete reports whether the list is complete: clients that were there
// before the server started have had time to return.
func (s *Schedule[C]) IsComplete() bool { return s.start.complete }

// List returns the sorted names. The caller must not modify the slice.
func (s *Schedule[C]) List() []string { return s.roster.sorted() }

// Silent returns the sorted names that were on the list at the end of the last
// poll, and that no connection had answered it for. The caller must not modify
// the slice.
func (s *Schedule[C]) Silent() []string { return s.silent }

// All returns all connections, in no particular order.
func (s *Schedule[C]) All() []C { return s.roster.all() }
