package membership

import (
	"slices"
	"time"
)

// presence is the state of a name on a connection.
type presence struct {
	heardIn int // the last poll that it answered
	silent  int // polls in a row that it has not answered

	// asked is when the first survey since the last answer was sent, or zero if
	// that is answered.
	asked time.Time

	// slowest is the longest time that an answer took. Older times count less.
	slowest time.Duration
}

// answers records an answer.
func (p *presence) answers(now time.Time) {
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
// round-trip time (RFC 6298). The argument is the last poll that was doubted.
func (p *presence) patience(doubted int) time.Duration {
	if p.heardIn < doubted {
		return maxSilence // the network may recover later for some names
	}
	return min(patienceFactor*p.slowest, maxSilence)
}

// census counts the causes of which names are silent. Names of one remote host
// have one cause, for example a process that hangs. If all connections come
// from one host, each connection is a cause.
type census struct {
	hosts        map[string]bool // true if a name of the host matches
	conns, match int             // connections with names, and with matches
}

// count counts a connection with names.
func (c *census) count(host string, matches bool) {
	if c.hosts == nil {
		c.hosts = make(map[string]bool)
	}
	c.hosts[host] = c.hosts[host] || matches
	c.conns++
	if matches {
		c.match++
	}
}

// many reports whether so many causes match that the server, its network or an
// overload is a likelier one.
func (c *census) many() bool {
	if len(c.hosts) <= 1 {
		return isMany(c.match, c.conns)
	}
	match := 0
	for _, matches := range c.hosts {
		if matches {
			match++
		}
	}
	return match == len(c.hosts) || isMany(match, len(c.hosts))
}

func isMany(some, all int) bool { return some >= minToDoubt && doubtShare*some > all }

// endPoll ends a poll, and drops the names whose silence has lasted for limit
// polls and for longer than their patience. While many are silent or slow, or
// handshakes wait for this process, fast names are given maxSilence too: a
// client that seems to be silent may be one that waits to connect anew. A
// doubted poll counts as missed by none.
// A connection of which an answer is being checked may have sent others.
func (r *roster[C]) endPoll(now time.Time, limit int, handshakesAreLate bool) (missed int, doubted, changed bool) {
	if r.unheard == 0 {
		return 0, false, false
	}
	var silent, slow census
	for _, m := range r.conns {
		isSilent, isSlow := false, false
		m.unjudged = m.checked
		for name, p := range m.names {
			if p.heardIn != r.poll && !m.checked {
				r.setSilent(name, p, p.silent+1)
				missed++
				isSilent = true
			}
			isSlow = isSlow || p.patience(r.doubted) == maxSilence
		}
		if len(m.names) > 0 {
			silent.count(m.host, isSilent)
			slow.count(m.host, isSlow)
		}
	}
	var atLeast time.Duration
	if doubted = silent.many(); doubted {
		missed = 0
		r.doubted = r.poll
	}
	if doubted || handshakesAreLate || slow.many() {
		atLeast = maxSilence
	}
	return missed, doubted, r.dropSilent(now, limit, atLeast)
}

// dropSilent drops the names whose silence has lasted for limit polls, their
// patience and atLeast. It returns true if the list has changed.
func (r *roster[C]) dropSilent(now time.Time, limit int, atLeast time.Duration) (changed bool) {
	r.overdueAt = time.Time{}
	for _, m := range r.conns {
		for name, p := range m.names {
			overdueAt := p.asked.Add(maxSilence)
			switch {
			case p.silent < limit:
			case now.Sub(p.asked) >= max(p.patience(r.doubted), atLeast):
				m.dropped = dropped{name, p.asked}
				changed = r.drop(m, name, p) || changed
			case r.overdueAt.IsZero() || overdueAt.Before(r.overdueAt):
				r.overdueAt = overdueAt
			}
		}
	}
	return changed
}

// silentNames returns the sorted names on the list that no connection has
// answered the last poll for, which has ended. Away is how many have no
// connection.
func (r *roster[C]) silentNames(away int) (names []string) {
	if r.unheard+away == 0 {
		return nil
	}
	missing := make(map[string]int) // connections that have not answered for the name
	for _, m := range r.conns {
		for name, p := range m.names {
			if p.silent > 0 {
				missing[name]++
			}
		}
	}
	for name, e := range r.names {
		if missing[name] == e.conns {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
