package gopherdiscovery

import "time"

// pulse measures the intervals between the surveys of a server. From them a
// client tells when surveys have been absent for so long that it doubts its
// connection. It has no clock: callers pass the time.
type pulse struct {
	// last is when the last survey came on the current connection, or when the
	// connection began, if none has.
	last  time.Time
	asked bool // a survey has come on the current connection

	// pause is the longest interval between two surveys. Older intervals count
	// less.
	pause  time.Duration
	pauses int // intervals measured
	fresh  int // of these, the ones on the current connection

	doubts int // in a row, that have not proved right
}

// begin starts a new connection.
func (p *pulse) begin(now time.Time) { p.last, p.asked, p.fresh = now, false, 0 }

// surveyed records a survey.
func (p *pulse) surveyed(now time.Time) {
	if p.asked {
		pause := now.Sub(p.last)
		p.pause = max(pause, p.pause-pause/pulseDecay)
		p.pauses++
		p.fresh++
	}
	p.last, p.asked = now, true
}

// due returns when to doubt the connection if no survey comes.
func (p *pulse) due() time.Time {
	patience := firstDoubt
	if p.pauses >= pulsePauses {
		patience = max(missedPauses*p.pause, shortestDoubt)
	}
	longest := max(patience, longestDoubt)
	for range p.doubts {
		if patience *= 2; patience >= longest {
			patience = longest
			break
		}
	}
	return p.last.Add(patience)
}

// excuse restarts the wait and measures no interval. It is called when the
// client itself did not run.
func (p *pulse) excuse(now time.Time) { p.last, p.asked = now, false }

// settle records which connection was surveyed first while the current one was
// doubted. It returns true if the doubt has proved right. A server surveys each
// new connection at once, so a survey on another one proves nothing unless
// enough intervals were measured on the current one. A doubt that was wrong
// doubles the wait, and its interval is not measured: the server has hung.
func (p *pulse) settle(other bool) (right bool) {
	if other && p.fresh >= pulsePauses {
		p.doubts = 0
		return true
	}
	p.doubts++
	p.asked = false
	return false
}
