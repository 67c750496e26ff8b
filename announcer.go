package gopherdiscovery

import (
	"sync"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sp"
	"github.com/dahernan/gopherdiscovery/internal/times"
)

// announcer keeps a client announced at one server. Usually it has one
// connection. While it doubts that, it dials another one beside it. The doubt
// is settled when either is surveyed, or when the first one ends, and one
// remains. So a doubt that is wrong does no harm: the name stays announced
// throughout.
//
//	one connection --- no survey, or no acknowledgement ---> two
//	two --- the new one is surveyed, the old one ends -----> the new one
//	two --- the old one is surveyed -----------------------> the old one
type announcer struct {
	client  *DiscoveryClient
	address sp.Address
	outage  *sp.Outage

	mu        sync.Mutex // guards the fields below and those of registrations
	detector  failureDetector
	current   reach       // in use
	candidate reach       // dialed because current is doubted; else its line is nil
	replaced  reach       // replaced by current, and about to be closed
	alarm     times.Alarm // when timer fires
	timer     *time.Timer // calls check; nil before the first connection
	left      bool        // no survey is answered any more
	heard     time.Time   // when a survey was last answered; zero if never
}

// reach is a line with its connection.
type reach struct {
	line *sp.Line
	conn *registration // nil while there is none
}

// close ends a reach that an announcer has given up. It must not be called with
// the announcer's mutex held.
func (r reach) close() {
	if r.line != nil {
		r.line.HangUp()
	}
	if r.conn != nil {
		r.conn.pipe.Close()
	}
}

func newAnnouncer(c *DiscoveryClient, a sp.Address) *announcer {
	o := sp.NewOutage(c.sock, a)
	return &announcer{client: c, address: a, outage: o, current: reach{line: sp.NewLine(c.sock, a, o, nil)}}
}

// start begins to connect.
func (a *announcer) start() error { return a.current.line.Dial() }

// state returns the state of the server.
func (a *announcer) state() ServerState {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.current.conn
	return ServerState{
		URL: a.address.String(), Connected: r != nil, Complete: r != nil && r.answered, Heard: a.heard, Surveyed: a.heard,
		LastError: a.outage.LastError(),
	}
}

// open returns the session for a new connection, or nil if the connection is
// not wanted any more.
func (a *announcer) open(p *sp.Pipe) *registration {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := &registration{announcer: a, pipe: p}
	switch {
	case a.left:
		return nil
	case p.Line() == a.current.line:
		a.current.conn = r
		a.beginLocked(time.Now())
	case p.Line() == a.candidate.line:
		a.candidate.conn = r
	default:
		return nil
	}
	return r
}

// beginLocked starts to watch the connection that has come into use.
func (a *announcer) beginLocked(now time.Time) {
	a.detector.connected(now)
	a.resetTimerLocked(now)
}

// resetTimerLocked sets the timer to when the connection in use is to be
// doubted, as far as that is known now.
func (a *announcer) resetTimerLocked(now time.Time) {
	a.alarm.At = a.detector.dueAt()
	if due := a.current.conn.ackDueLocked(); !due.IsZero() {
		a.alarm.At = times.Earliest(a.alarm.At, due)
	}
	if a.timer == nil {
		a.timer = time.AfterFunc(a.alarm.At.Sub(now), a.check)
	} else {
		a.timer.Reset(a.alarm.At.Sub(now))
	}
}

// check doubts the connection in use if its server is silent or acknowledges
// nothing. If the client itself did not run or has not read what has come,
// check waits once more.
func (a *announcer) check() {
	if !a.client.sock.Enter(1) {
		return
	}
	defer a.client.sock.Exit()
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	switch r := a.current.conn; {
	case r == nil || a.candidate.line != nil || a.left || now.Before(a.alarm.At):
		return
	case a.alarm.Stopped(now, peerHalt) > 0 || r.pipe.IsBehind():
		a.detector.excuse(now)
		r.excuseLocked(now)
	case r.checkAckLocked(now):
		a.doubtLocked(sp.ErrUnacknowledged)
		return
	case !now.Before(a.detector.dueAt()):
		a.doubtLocked(sp.ErrSilent)
		return
	}
	a.resetTimerLocked(now)
}

// doubtLocked dials another connection.
func (a *announcer) doubtLocked(reason error) {
	l := sp.NewLine(a.client.sock, a.address, a.outage, reason)
	if l.Dial() == nil {
		a.candidate.line = l
	}
}

// surveyed records a survey that was answered.
func (a *announcer) surveyed(r *registration, now time.Time) {
	a.mu.Lock()
	a.heard = now
	unneeded := a.surveyedLocked(r, now)
	a.mu.Unlock()
	unneeded.close()
}

// surveyedLocked returns what the survey shows to be no longer needed.
func (a *announcer) surveyedLocked(r *registration, now time.Time) (unneeded reach) {
	switch r {
	case a.candidate.conn:
		unneeded, a.replaced, a.current, a.candidate = a.replaced, a.current, a.candidate, reach{}
		a.retireLocked()
		if reason := a.current.line.Doubt(); a.detector.settle(true) || reason == sp.ErrUnacknowledged {
			a.outage.Failed(reason)
			a.outage.Connected()
		}
		a.beginLocked(now)
	case a.current.conn:
		if a.alarm.Stopped(now, peerHalt) > 0 && a.candidate.line == nil {
			a.detector.excuse(now) // check has not run yet
		}
		if a.candidate.line != nil {
			if r.checkAckLocked(now) {
				return reach{} // it hears the server, but is not heard
			}
			unneeded, a.candidate = a.candidate, reach{}
			a.detector.settle(false)
			a.outage.Connected()
		}
	default:
		return reach{}
	}
	a.detector.surveyed(now)
	a.resetTimerLocked(now)
	return unneeded
}

// retireLocked closes the connection that was replaced. It waits replacedTime,
// and until the server has acknowledged what was sent on the new one: if the
// end of the old one came before the first answer, the name would leave.
func (a *announcer) retireLocked() {
	last, by := a.replaced, a.current.conn
	last.line.HangUp()
	var timer *time.Timer
	timer = time.AfterFunc(replacedTime, func() {
		a.mu.Lock()
		waits := a.current.conn == by && !a.left && by.isAwaitingLocked()
		if waits {
			timer.Reset(replacedTime)
		}
		a.mu.Unlock()
		if !waits {
			last.close()
		}
	})
}

// ended records the end of a connection. If it was doubted, the other one, or
// the attempt to make it, takes its place.
func (a *announcer) ended(r *registration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch r {
	case a.candidate.conn:
		a.candidate.conn = nil
	case a.current.conn:
		a.current.conn = nil
		a.timer.Stop()
		if a.candidate.line == nil {
			return
		}
		a.current.line.HangUp()
		a.current, a.candidate = a.candidate, reach{}
		if a.current.conn != nil {
			a.beginLocked(time.Now())
		} else {
			a.outage.Disconnected()
		}
	}
}

// leave lets no further survey be answered, and says goodbye. It returns the
// connections that are about to end because of that.
func (a *announcer) leave() (leaving []*registration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left = true
	for _, reach := range []reach{a.current, a.candidate, a.replaced} {
		if reach.line != nil {
			reach.line.Cancel() // the end of a connection is no outage
		}
		switch r := reach.conn; {
		case r == nil:
		case r.answering:
			leaving = append(leaving, r) // answer says goodbye
		case r.answered && a.client.sock.Enter(1):
			leaving = append(leaving, r)
			go func() {
				defer a.client.sock.Exit()
				r.sayGoodbye()
			}()
		}
	}
	return leaving
}
