package gopherdiscovery

import "time"

// failureDetector measures the intervals between the surveys of a server. From
// them a client tells when surveys have been absent for so long that it doubts
// its connection. It has no clock: callers pass the time.
type failureDetector struct {
	// last is when the last survey came on the current connection, or when the
	// connection began, if none has.
	last  time.Time
	asked bool // a survey has come on the current connection

	// pause is the longest interval between two surveys. Older intervals count
	// less.
	pause      time.Duration
	pauses     int // intervals measured
	pausesHere int // of these, the ones on the current connection

	doubts int // in a row, that have not proved right
}

// connected records the beginning of a connection.
func (d *failureDetector) connected(now time.Time) { d.last, d.asked, d.pausesHere = now, false, 0 }

// surveyed records a survey.
func (d *failureDetector) surveyed(now time.Time) {
	if d.asked {
		pause := now.Sub(d.last)
		d.pause = max(pause, d.pause-pause/pauseDecay)
		d.pauses++
		d.pausesHere++
	}
	d.last, d.asked = now, true
}

// dueAt returns when to doubt the connection if no survey comes.
func (d *failureDetector) dueAt() time.Time {
	wait := firstDoubt
	if d.pauses >= minPauses {
		wait = max(missedPauses*d.pause, shortestDoubt)
	}
	longest := max(wait, longestDoubt)
	for range d.doubts {
		if wait *= 2; wait >= longest {
			wait = longest
			break
		}
	}
	return d.last.Add(wait)
}

// excuse restarts the wait and measures no interval. It is called when the
// client itself did not run.
func (d *failureDetector) excuse(now time.Time) { d.last, d.asked = now, false }

// settle records which connection was surveyed first while the current one was
// doubted. It returns true if the doubt has proved right. A server surveys each
// new connection at once, so a survey on another one proves nothing unless
// enough intervals were measured on the current one. A doubt that was wrong
// doubles the wait, and its interval is not measured: the server has hung.
func (d *failureDetector) settle(other bool) (right bool) {
	if other && d.pausesHere >= minPauses {
		d.doubts = 0
		return true
	}
	d.doubts++
	d.asked = false
	return false
}
