package membership

import (
	"slices"
	"time"
)

// presence is the state of a name on a connection.
type presence struct {
	answeredPoll int // the last poll that it answered
	silent       int // polls in a row that it has not answered

	// asked is when the first survey since the last answer was sent, or zero if
	// that is answered.
	asked time.Time

	// slowest is the longest time that an answer took. Older times count less.
	slowest time.Duration
}

// recordAnswer records an answer.
func (p *presence) recordAnswer(now time.Time) {
	if !p.asked.IsZero() {
		p.recordDuration(now.Sub(p.asked))
	}
	p.asked = time.Time{}
}

// recordDuration records how long an answer took. Times beyond maxSilence make
// no difference and would only be remembered for longer.
func (p *presence) recordDuration(d time.Duration) {
	p.slowest = max(min(d, maxSilence), p.slowest-p.slowest/slowestDecay)
}

// patience returns the minimum silence of the name before it is dropped. It
// follows the slowest answer, as the retransmission timeout of TCP follows the
// round-trip time (RFC 6298). The argument is the last poll that was doubted.
func (p *presence) patience(doubted int) time.Duration {
	if p.answeredPoll < doubted {
		return maxSilence // the network may recover later for some names
	}
	return min(patienceFactor*p.slowest, maxSilence)
}

// areMany reports whether connections with names that match have so many causes
// that the server, its network or an overload is a likelier one. Names of one
// remote host have one cause, for example a process that hangs. If all
// connections come from one host, each connection is a cause.
func (r *roster[C]) areMany(matches func(m *member, p *presence) bool) bool {
	hosts, conns := make(map[string]bool), make(map[*member]bool)
	for _, m := range r.conns {
		match := false
		for _, p := range m.names {
			match = match || matches(m, p)
		}
		if len(m.names) > 0 {
			hosts[m.host], conns[m] = hosts[m.host] || match, match
		}
	}
	if len(hosts) <= 1 {
		return isMany(countTrue(conns), len(conns))
	}
	some := countTrue(hosts)
	return some == len(hosts) || isMany(some, len(hosts))
}

// countTrue returns how many causes match.
func countTrue[K comparable](causes map[K]bool) (n int) {
	for _, match := range causes {
		if match {
			n++
		}
	}
	return n
}

func isMany(some, all int) bool { return some >= minToDoubt && doubtShare*some > all }

// endPoll ends a poll, and drops the names whose silence has lasted for limit
// polls and for longer than their patience. While many are silent or slow, or
// handshakes wait for this process, fast names are given maxSilence too: a
// client that seems to be silent may be one that waits to connect anew. A
// doubted poll counts as missed by none.
// A connection of which an answer is being checked may have sent others.
func (r *roster[C]) endPoll(now time.Time, limit int, handshakesAreLate bool) (missed int, doubted, changed bool) {
	if r.unanswered == 0 {
		return 0, false, false
	}
	isSilent := func(m *member, p *presence) bool { return p.answeredPoll != r.poll && !m.checked }
	isSlow := func(_ *member, p *presence) bool { return p.patience(r.doubted) == maxSilence }
	for _, m := range r.conns {
		m.unjudged = m.checked
		for name, p := range m.names {
			if isSilent(m, p) {
				r.setSilent(name, p, p.silent+1)
				missed++
			}
		}
	}
	var atLeast time.Duration
	if doubted = r.areMany(isSilent); doubted {
		missed = 0
		r.doubted = r.poll
	}
	if doubted || handshakesAreLate || r.areMany(isSlow) {
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
				m.dropped, m.unanswered = name, p.asked
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
	if r.unanswered+away == 0 {
		return nil
	}
	heard := make(map[string]bool)
	for _, m := range r.conns {
		for name, p := range m.names {
			heard[name] = heard[name] || p.silent == 0
		}
	}
	for name := range r.names {
		if !heard[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
