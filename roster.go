package gopherdiscovery

import (
	"maps"
	"slices"
	"time"
)

// roster knows who is alive: which names were heard on which connections, of type C, and who is still to be heard in the
// poll that is running. Behind a connection there may be a device with many names. A roster has no socket, no clock and no
// goroutine.
type roster[C comparable] struct {
	conns map[C]*member
	count int // of connections that have come
	names map[string]*known
	size  int      // of the list on the wire, in bytes
	total int      // names, counted on each connection
	list  []string // the names, sorted, but for those that have changed since
	dirty map[string]struct{}

	poll    int // the number of the poll
	unheard int // connections and names that have not answered it
}

// member is what is known of a connection.
type member struct {
	number  int // in the order in which they came
	heardIn int // the last poll in which it answered, or in which it came
	names   map[string]*presence
	dropped time.Time // when the name that was dropped last for its silence was first asked; zero if it was heard again
}

// known is a name in the list. Connections share its string.
type known struct {
	name  string
	conns int // on which it is known
}

// presence is what is known of a name on a connection.
type presence struct {
	heardIn int           // the last poll in which it answered
	missed  int           // polls that it has missed in a row, except those that are doubted
	asked   time.Time     // when it was first asked since it was heard; zero if it has answered
	slowest time.Duration // the longest that it took to answer, old times counting less
}

// answers notes that the name was heard.
func (p *presence) answers(now time.Time) {
	p.missed = 0
	if !p.asked.IsZero() {
		p.took(now.Sub(p.asked))
	}
	p.asked = time.Time{}
}

// took notes how long an answer took.
func (p *presence) took(d time.Duration) {
	p.slowest = max(d, p.slowest-p.slowest/slowestDecay)
}

// patience is how long the silence of the name lasts at least before it is
// dropped. It follows the slowest of its answers, as TCP's retransmission
// timeout does the round trip (RFC 6298).
func (p *presence) patience() time.Duration {
	return min(patienceFactor*p.slowest, maxSilence)
}

// expected reports whether the name may well answer later: it has taken as
// long before.
func (p *presence) expected(now time.Time) bool {
	return now.Sub(p.asked) <= p.slowest
}

func newRoster[C comparable]() *roster[C] {
	return &roster[C]{conns: make(map[C]*member), names: make(map[string]*known), list: []string{}, dirty: make(map[string]struct{})}
}

// connect adds a connection. It owes no answer to a poll that is running.
func (r *roster[C]) connect(c C) {
	r.count++
	r.conns[c] = &member{number: r.count, heardIn: r.poll, names: make(map[string]*presence)}
}

// disconnect removes a connection, with the names that are on no other.
func (r *roster[C]) disconnect(c C) {
	m := r.conns[c]
	if m == nil {
		return
	}
	if m.heardIn != r.poll {
		r.unheard--
	}
	for name, p := range m.names {
		r.drop(m, name, p)
	}
	delete(r.conns, c)
}

// owes reports whether a name has been asked and not been heard since.
func (m *member) owes() bool {
	for _, p := range m.names {
		if !p.asked.IsZero() {
			return true
		}
	}
	return false
}

// excuse begins all silences anew: the server itself did not run.
func (r *roster[C]) excuse(now time.Time) {
	for _, m := range r.conns {
		for _, p := range m.names {
			if !p.asked.IsZero() {
				p.asked = now
			}
		}
	}
}

// hear notes an answer, and of a new name that it took some time. An answer from a connection that has ended changes nothing.
// The error tells why a new name is one too many.
func (r *roster[C]) hear(c C, name string, now time.Time, took time.Duration) error {
	m := r.conns[c]
	if m == nil {
		return nil
	}
	if m.heardIn != r.poll {
		m.heardIn = r.poll
		r.unheard--
	}
	p := m.names[name]
	switch {
	case p != nil:
		if p.heardIn != r.poll {
			p.heardIn = r.poll
			r.unheard--
		}
		p.answers(now)
	case len(m.names) == maxNames:
		return errTooManyNames
	case r.total == maxTotalNames, r.names[name] == nil && r.size+len(separator)+len(name) > maxListLen:
		return errListFull
	default:
		if !m.dropped.IsZero() { // it was not hung but slow
			took = min(max(took, now.Sub(m.dropped)), maxSilence)
			m.dropped = time.Time{}
		}
		m.names[r.add(name)] = &presence{heardIn: r.poll, slowest: took}
	}
	return nil
}

// startPoll makes everyone owe an answer.
func (r *roster[C]) startPoll(now time.Time) {
	r.poll++
	r.unheard = len(r.conns)
	for _, m := range r.conns {
		r.unheard += len(m.names)
		for _, p := range m.names {
			if p.asked.IsZero() {
				p.asked = now
			}
		}
	}
}

// silent returns how many names have not answered the poll although they used to be faster, and how many are known, counted on
// each connection.
func (r *roster[C]) silent(now time.Time) (silent, known int) {
	for _, m := range r.conns {
		known += len(m.names)
		for _, p := range m.names {
			if p.heardIn != r.poll && !p.expected(now) {
				silent++
			}
		}
	}
	return silent, known
}

// endPoll returns how many names have missed the poll, and drops those that have now missed limit polls in a row and kept
// silent for longer than they ever did. A poll that is doubted is missed by no name; but no silence lasts without end.
func (r *roster[C]) endPoll(now time.Time, limit int, doubted bool) (missed int) {
	for _, m := range r.conns {
		for name, p := range m.names {
			if p.heardIn == r.poll {
				continue
			}
			if !doubted {
				p.missed++
				missed++
			}
			silence := now.Sub(p.asked)
			if p.missed >= limit && silence >= p.patience() && !doubted || silence >= maxDoubt {
				m.dropped = p.asked
				r.drop(m, name, p)
			}
		}
	}
	return missed
}

// add returns the name as it is known.
func (r *roster[C]) add(name string) string {
	k := r.names[name]
	if k == nil {
		k = &known{name: name}
		r.names[name] = k
		r.size += len(separator) + len(name)
		r.dirty[name] = struct{}{}
	}
	k.conns++
	r.total++
	return k.name
}

func (r *roster[C]) drop(m *member, name string, p *presence) {
	if p.heardIn != r.poll {
		r.unheard--
	}
	delete(m.names, name)
	r.total--
	k := r.names[name]
	if k.conns--; k.conns == 0 {
		delete(r.names, name)
		r.size -= len(separator) + len(name)
		r.dirty[name] = struct{}{}
	}
}

// sorted returns the names, which the caller must not change. Only those that
// have come or gone since the last call are sorted.
func (r *roster[C]) sorted() []string {
	var removed, added []string
	for name := range r.dirty {
		_, was := slices.BinarySearch(r.list, name)
		switch is := r.names[name] != nil; {
		case is && !was:
			added = append(added, name)
		case was && !is:
			removed = append(removed, name)
		}
	}
	clear(r.dirty)
	if len(removed)+len(added) > 0 {
		slices.Sort(removed)
		slices.Sort(added)
		r.list, _ = edit(r.list, removed, added)
	}
	return r.list
}

// all returns the connections, in no order.
func (r *roster[C]) all() []C {
	return slices.Collect(maps.Keys(r.conns))
}
