package gopherdiscovery

import "time"

// pulse is how far apart the surveys on a connection are. A client learns
// from it that they have stayed away for so long that something between it and
// the server must be dead, although the connection stands. It has no clock.
type pulse struct {
	last   time.Time     // survey
	pause  time.Duration // between two, the longest, old ones counting less
	pauses int           // that were measured
}

// beat notes a survey.
func (p *pulse) beat(now time.Time) {
	if !p.last.IsZero() {
		p.pause = max(now.Sub(p.last), p.pause-p.pause/pulseDecay)
		p.pauses++
	}
	p.last = now
}

// due is when the connection is to be given up. There is no such time while
// the pauses are unknown: a server may ask once and never again.
func (p *pulse) due() (due time.Time, ok bool) {
	return p.last.Add(max(lostBeats*p.pause, vanishedAfter)), p.pauses >= pulsePauses
}

// excuse begins the silence anew: the client itself did not run.
func (p *pulse) excuse(now time.Time) { p.last = now }
