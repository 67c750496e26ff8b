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
	dropped dropped
}

// dropped is the name that was dropped last for its silence, and when it was
// first asked in vain. If it answers after all, that is how long it takes.
type dropped struct {
	name  string
	asked time.Time
}

// known is a name in the list. Connections share its string.
type known struct {
	name  string
	conns int // on which it is known
}

// presence is what is known of a name on a connection.
type presence struct {
	heardIn int           // the last poll in which it answered
	silent  int           // polls that it has not answered in a row
	missed  int           // of these, the ones since the last that was doubted
	doubted bool          // it has missed a poll that was doubted, and not been heard since
	asked   time.Time     // when it was first asked since it was heard; zero if it has answered
	slowest time.Duration // the longest that it took to answer, old times counting less
}

// answers notes that the name was heard.
func (p *presence) answers(now time.Time) {
	p.silent, p.missed, p.doubted = 0, 0, false
	if !p.asked.IsZero() {
		p.took(now.Sub(p.asked))
	}
	p.asked = time.Time{}
}

// took notes how long an answer took. Beyond the longest patience that makes no
// difference, but would be remembered for longer.
func (p *presence) took(d time.Duration) {
	p.slowest = max(min(d, maxSilence), p.slowest-p.slowest/slowestDecay)
}

// patience is how long the silence of the name lasts at least before it is
// dropped. It follows the slowest of its answers, as TCP's retransmission
// timeout does the round trip (RFC 6298).
func (p *presence) patience() time.Duration {
	if p.doubted {
		return maxSilence // the network comes back for some later than for others
	}
	return min(patienceFactor*p.slowest, maxSilence)
}

// expected reports whether the name may well answer later: it has taken as
// long before. No silence beyond half the longest patience is expected, so that
// a poll is doubted well before the first of many that hang together is dropped.
func (p *presence) expected(now time.Time) bool {
	return now.Sub(p.asked) <= min(p.slowest, maxSilence/2)
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
		if name == m.dropped.name { // it was not hung but slow
			took = now.Sub(m.dropped.asked)
		}
		p = &presence{heardIn: r.poll}
		p.took(took)
		m.names[r.add(name)] = p
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

// silent returns how many names have not answered the poll, how many of these
// used to be faster, and how many are known, counted on each connection.
func (r *roster[C]) silent(now time.Time) (silent, unexpected, known int) {
	for _, m := range r.conns {
		known += len(m.names)
		for _, p := range m.names {
			if p.heardIn == r.poll {
				continue
			}
			silent++
			if !p.expected(now) {
				unexpected++
			}
		}
	}
	return silent, unexpected, known
}

// strained reports whether many names were slow lately. Then those that were
// fast so far may be the next to be slow.
func (r *roster[C]) strained() bool {
	slow, known := 0, 0
	for _, m := range r.conns {
		known += len(m.names)
		for _, p := range m.names {
			if p.patience() == maxSilence {
				slow++
			}
		}
	}
	return many(slow, known)
}

// endPoll returns how many names have missed the poll, and drops those that
// have now missed limit polls in a row and kept silent for longer than they ever
// did, and at least for atLeast. A poll that is doubted is missed by no name,
// and the count begins anew; but no silence of limit polls lasts without end.
func (r *roster[C]) endPoll(now time.Time, limit int, atLeast time.Duration, doubted bool) (missed int) {
	for _, m := range r.conns {
		for name, p := range m.names {
			if p.heardIn == r.poll {
				continue
			}
			p.silent++
			if doubted {
				p.missed, p.doubted = 0, true
			} else {
				p.missed++
				missed++
			}
			silence := now.Sub(p.asked)
			certain := p.missed >= limit && silence >= max(p.patience(), atLeast) && !doubted
			if certain || p.silent >= limit && silence >= maxDoubt {
				m.dropped = dropped{name, p.asked}
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
