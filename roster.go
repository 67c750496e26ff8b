package gopherdiscovery

import (
	"maps"
	"slices"
)

// roster knows who is alive: which names were heard on which connections, of type C, and who is still to be heard in the
// poll that is running. Behind a connection there may be a device with many names. A roster has no socket, no clock and no
// goroutine.
type roster[C comparable] struct {
	conns map[C]*member
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
	heardIn int // the last poll in which it answered, or in which it came
	names   map[string]*presence
}

// known is a name in the list. Connections share its string.
type known struct {
	name  string
	conns int // on which it is known
}

// presence is what is known of a name on a connection.
type presence struct {
	heardIn int // the last poll in which it answered
	missed  int // polls that it has missed in a row
}

func newRoster[C comparable]() *roster[C] {
	return &roster[C]{conns: make(map[C]*member), names: make(map[string]*known), list: []string{}, dirty: make(map[string]struct{})}
}

// connect adds a connection. It owes no answer to a poll that is running.
func (r *roster[C]) connect(c C) {
	r.conns[c] = &member{heardIn: r.poll, names: make(map[string]*presence)}
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

// hear notes an answer. One from a connection that has ended changes nothing. The error tells why a new name is one too many.
func (r *roster[C]) hear(c C, name string) error {
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
		p.missed = 0
	case len(m.names) == maxNames:
		return errTooManyNames
	case r.total == maxTotalNames, r.names[name] == nil && r.size+len(separator)+len(name) > maxListLen:
		return errListFull
	default:
		m.names[r.add(name)] = &presence{heardIn: r.poll}
	}
	return nil
}

// startPoll makes everyone owe an answer.
func (r *roster[C]) startPoll() {
	r.poll++
	r.unheard = len(r.conns)
	for _, m := range r.conns {
		r.unheard += len(m.names)
	}
}

// silent returns how many names have not answered the poll, and how many are known, counted on each connection.
func (r *roster[C]) silent() (silent, known int) {
	for _, m := range r.conns {
		known += len(m.names)
		for _, p := range m.names {
			if p.heardIn != r.poll {
				silent++
			}
		}
	}
	return silent, known
}

// endPoll drops the names that have now missed limit polls in a row.
func (r *roster[C]) endPoll(limit int) {
	for _, m := range r.conns {
		for name, p := range m.names {
			if p.heardIn == r.poll {
				continue
			}
			p.missed++
			if p.missed >= limit {
				r.drop(m, name, p)
			}
		}
	}
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
