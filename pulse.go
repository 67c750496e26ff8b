package gopherdiscovery

import "time"

// pulse measures the intervals between the surveys of a server. From them a
// client tells when surveys have been absent for so long that the path to the
// server must be dead, although the connection is still open. It has no clock:
// callers pass the time.
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

	// lost is the number of connections in a row that were given up before
	// enough intervals were measured on them.
	lost int
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
	if p.fresh == pulsePauses {
		p.lost = 0
	}
	p.last, p.asked = now, true
}

// due returns when to give up the connection if no survey comes. The wait is
// longer while few intervals were measured on the current connection, because
// the server may have been reconfigured to survey less often. It grows with
// each connection that was given up too early: a server may also survey a
// connection once and never again.
func (p *pulse) due() time.Time {
	patience, grow := firstPulse, p.lost
	if p.pauses >= pulsePauses {
		patience = max(lostBeats*p.pause, vanishedAfter)
		if p.fresh < pulsePauses {
			grow++
		}
	}
	for ; grow > 0 && patience < longestPulse; grow-- {
		patience = min(pulseGrowth*patience, longestPulse)
	}
	return p.last.Add(patience)
}

// excuse restarts the wait and measures no interval. It is called when the
// client itself did not run.
func (p *pulse) excuse(now time.Time) { p.last, p.asked = now, false }

// giveUp records that the connection is given up.
func (p *pulse) giveUp() {
	if p.fresh < pulsePauses {
		p.lost++
	}
}
