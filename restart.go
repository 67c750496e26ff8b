package gopherdiscovery

import "time"

// woke records that the loop runs again after it was idle. If that is much
// later than next asked for, the process was stopped, in the loop's work or
// while it was idle.
func (s *schedule[C]) woke(idleSince, now time.Time) {
	switch {
	case now.Sub(s.wakeAt) > serverHalt:
		s.resume(now)
	case now.Sub(s.wakeAt) > lateAfter && now.Sub(idleSince) > lateAfter && now.Sub(s.greetAt) > serverHalt:
		// The process may have been stopped for a moment. The ends of
		// connections in that time are published before new subscribers are
		// served.
		s.greetAt = now.Add(graceTime)
	}
}

// mayGreet reports whether new subscribers may be sent the list. They wait
// until earlier ends of connections are published, so that they do not receive
// a dead name that they have already seen leave through another server.
func (s *schedule[C]) mayGreet(now time.Time) bool {
	return !now.Before(s.greetAt) && (s.edition.firstLoss.IsZero() || s.edition.due(now, s.joins.waiting()))
}

// resubscribe records that a subscriber has connected that has a list, or may
// have one. After a loss of most connections it restarts, because the
// subscriber may be back before the clients are.
func (s *schedule[C]) resubscribe(now time.Time) {
	if s.losses.recent(now) {
		s.recover(now)
	}
}

// resume is called when the server was stopped for a while. Clients may have
// lost their connections in the meantime and reconnect after the ends of these
// are recorded, and a running poll has not surveyed them. When the server is
// stopped repeatedly, the list still becomes complete after maxRestarts.
func (s *schedule[C]) resume(now time.Time) {
	s.roster.excuse(now)
	s.joins.excuse(now)
	if s.restartAgain(now) {
		s.poll.abandon()
		s.greetAt = now.Add(graceTime)
	}
}

// restart makes the list incomplete, as after the start of the server. It
// becomes complete again after clients have had PollTime to reconnect and have
// been surveyed. Clients that reconnect in time stay on the list throughout.
func (s *schedule[C]) restart(now time.Time) {
	s.edition.close()
	s.poll.restart(now)
}

// restartAgain restarts even if the list is incomplete. After maxRestarts it
// returns false instead, so that the list is not incomplete forever.
func (s *schedule[C]) restartAgain(now time.Time) bool {
	if s.restarts == maxRestarts {
		return false
	}
	s.restarts++
	s.restart(now)
	return true
}

// waitForReturns makes the list stay incomplete for a little longer, when names
// have come back lately that were lost with most connections, and others have
// not. They may be about to connect.
func (s *schedule[C]) waitForReturns(now time.Time) {
	if s.edition.opens(now) && s.restarts < maxRestarts && s.losses.returning(s.sorted(), now) {
		s.restarts++
		s.edition.openAt(now.Add(returnWindow))
	}
}

// recover restarts after a loss of most connections, unless the list is already
// incomplete.
func (s *schedule[C]) recover(now time.Time) {
	if s.edition.complete {
		s.restart(now)
	}
}
