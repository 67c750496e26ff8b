package gopherdiscovery

import "time"

// presence is the state of a name on a connection.
type presence struct {
	heardIn int // the last poll that it answered
	silent  int // polls in a row that it has not answered
	missed  int // of these, the ones since the last doubted poll

	// doubted reports whether a poll was doubted since the last answer.
	doubted bool

	// asked is when the first survey since the last answer was sent, or zero if
	// that is answered.
	asked time.Time

	// slowest is the longest time that an answer took. Older times count less.
	slowest time.Duration
}

// answers records an answer.
func (p *presence) answers(now time.Time) {
	p.silent, p.missed, p.doubted = 0, 0, false
	if !p.asked.IsZero() {
		p.took(now.Sub(p.asked))
	}
	p.asked = time.Time{}
}

// took records how long an answer took. Times beyond maxSilence make no
// difference and would only be remembered for longer.
func (p *presence) took(d time.Duration) {
	p.slowest = max(min(d, maxSilence), p.slowest-p.slowest/slowestDecay)
}

// patience returns the minimum silence of the name before it is dropped. It
// follows the slowest answer, as the retransmission timeout of TCP follows the
// round-trip time (RFC 6298).
func (p *presence) patience() time.Duration {
	if p.doubted {
		return maxSilence // the network may recover later for some names
	}
	return min(patienceFactor*p.slowest, maxSilence)
}

// expected reports whether the silence of the name is no surprise, because an
// answer has taken as long before. A silence beyond half of maxSilence is
// always a surprise. So when many names hang together, a poll is doubted well
// before the first of them is dropped.
func (p *presence) expected(now time.Time) bool {
	return now.Sub(p.asked) <= min(p.slowest, maxSilence/2)
}
