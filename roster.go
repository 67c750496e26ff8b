package gopherdiscovery

import (
	"maps"
	"slices"
	"time"
)

// roster records which names are alive on which connections, of type C, and
// which of them have not yet answered the running poll. A connection may lead
// to a device with many names behind it. A roster has no socket, no clock and
// no goroutine.
type roster[C comparable] struct {
	conns map[C]*member
	count int // connections ever added
	names map[string]*known
	size  int                 // of the list on the wire, in bytes
	total int                 // names, counted once for each connection
	list  []string            // as sorted returned it last
	dirty map[string]struct{} // names that may have come or gone since

	poll    int // the number of the last poll
	unheard int // connections and names that have not answered it
}

// member is the state of a connection.
type member struct {
	number  int // counts connections in the order in which they came
	heardIn int // the last poll that it answered or in which it came
	names   map[string]*presence
	dropped dropped
}

// dropped is the name that was last dropped for its silence, and the time of
// the first survey that it did not answer. If it answers after all, the time
// since then is how long it takes to answer.
type dropped struct {
	name  string
	asked time.Time
}

// known is a name in the list. All connections with the name share its string.
type known struct {
	name  string
	conns int // connections with the name
}

func newRoster[C comparable]() *roster[C] {
	return &roster[C]{conns: make(map[C]*member), names: make(map[string]*known), list: []string{}, dirty: make(map[string]struct{})}
}

// connect adds a connection. It owes no answer to the running poll.
func (r *roster[C]) connect(c C) {
	r.count++
	r.conns[c] = &member{number: r.count, heardIn: r.poll, names: make(map[string]*presence)}
}

// disconnect removes a connection, and the names that no other connection has.
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

// owes reports whether a name on the connection owes an answer.
func (m *member) owes() bool {
	for _, p := range m.names {
		if !p.asked.IsZero() {
			return true
		}
	}
	return false
}

// excuse restarts the silence of all names. It is called when the server itself
// did not run.
func (r *roster[C]) excuse(now time.Time) {
	for _, m := range r.conns {
		for _, p := range m.names {
			if !p.asked.IsZero() {
				p.asked = now
			}
		}
	}
}

// hear records an answer. Of a new name it also records how long the answer
// took. An answer from a connection that has ended is ignored. The error says
// which limit a new name exceeds.
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
		if name == m.dropped.name { // slow, not hung
			took = now.Sub(m.dropped.asked)
		}
		p = &presence{heardIn: r.poll}
		p.took(took)
		m.names[r.add(name)] = p
	}
	return nil
}

// startPoll begins a poll, which all connections and names owe an answer.
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
// used to answer faster, and how many are known. All are counted once for each
// connection.
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

// strained reports whether many names were slow recently. If so, names that
// were fast so far may become slow next.
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

// endPoll ends a poll and returns how many names have missed it. It drops the
// names that have now missed limit polls in a row and whose silence is longer
// than their patience and atLeast. A doubted poll counts as missed by no name
// and resets the counts of missed polls. A silence of limit polls and maxDoubt
// ends in any case.
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

// add adds a name and returns the shared string of it.
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

// sorted returns the sorted names. The caller must not modify the slice. Only
// names that have come or gone since the last call are sorted and merged.
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

// all returns the connections in no particular order.
func (r *roster[C]) all() []C {
	return slices.Collect(maps.Keys(r.conns))
}
