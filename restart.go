package gopherdiscovery

import "time"

// restarts decides when the list becomes incomplete, as after the start of the
// server, because clients may be about to come back: after the process was
// stopped, or after most connections have ended. It has no clock: callers pass
// the time.
type restarts struct {
	poll    *poll
	edition *edition
	losses  *losses
	count   int       // since the list was last complete
	greetAt time.Time // new subscribers wait until then
}

// woke records that the loop runs again after it was idle. It reports whether
// that is so much later than planned that the process was stopped, in the
// loop's work or while it was idle.
func (r *restarts) woke(planned, idleSince, now time.Time) (stopped bool) {
	switch {
	case now.Sub(planned) > serverHalt:
		r.resume(now)
		return true
	case now.Sub(planned) > lateAfter && now.Sub(idleSince) > lateAfter && now.Sub(r.greetAt) > serverHalt:
		// The process may have been stopped for a moment. The ends of
		// connections in that time are published before new subscribers are
		// served.
		r.greetAt = now.Add(graceTime)
	}
	return false
}

// resume is called when the server was stopped for a while. Clients may have
// lost their connections in the meantime and reconnect after the ends of these
// are recorded, and a running poll has not surveyed them. When the server is
// stopped repeatedly, the list still becomes complete after maxRestarts.
func (r *restarts) resume(now time.Time) {
	if r.again(now) {
		r.poll.abandon()
		r.greetAt = now.Add(graceTime)
	}
}

// restart makes the list incomplete. It becomes complete again after clients
// have had PollTime to reconnect and have been surveyed. Clients that reconnect
// in time stay on the list throughout.
func (r *restarts) restart(now time.Time) {
	r.edition.close()
	r.poll.restart(now)
}

// again restarts even if the list is incomplete. After maxRestarts it returns
// false instead, so that the list is not incomplete forever.
func (r *restarts) again(now time.Time) bool {
	if r.count == maxRestarts {
		return false
	}
	r.count++
	r.restart(now)
	return true
}

// recover restarts after a loss of most connections, unless the list is already
// incomplete.
func (r *restarts) recover(now time.Time) {
	if r.edition.complete {
		r.restart(now)
	}
}

// waitForReturns is called when the list is about to become complete. It makes
// the list stay incomplete for a little longer, when names have come back
// lately that were lost with most connections, and others have not. They may be
// about to connect.
func (r *restarts) waitForReturns(list []string, now time.Time) {
	if r.count < maxRestarts && r.losses.returning(list, now) {
		r.count++
		r.edition.openAt(now.Add(returnWindow))
	}
}
