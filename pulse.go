package gopherdiscovery

import "time"

// pulse is how far apart the surveys of a server are. A client learns from it
// that they have stayed away for so long that something between it and the
// server must be dead, although the connection stands. It has no clock.
type pulse struct {
	last   time.Time     // survey on the connection, or before the first its begin
	asked  bool          // a survey has come on it
	pause  time.Duration // between two surveys, the longest, old ones counting less
	pauses int           // that were measured
	fresh  int           // of these, the ones on the connection
	lost   int           // connections in a row that were given up before their own pauses were known
}

// begin begins a connection.
func (p *pulse) begin(now time.Time) { p.last, p.asked, p.fresh = now, false, 0 }

// beat notes a survey.
func (p *pulse) beat(now time.Time) {
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

// due is when the connection is to be given up. While its own pauses are
// unknown the patience is longer: the server may have been told to ask less
// often. It grows with each time that it was too short, for a server may also
// ask once and never again.
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

// excuse begins the silence anew, and measures none: the client itself did not
// run.
func (p *pulse) excuse(now time.Time) { p.last, p.asked = now, false }

// giveUp notes that the connection is given up.
func (p *pulse) giveUp() {
	if p.fresh < pulsePauses {
		p.lost++
	}
}
