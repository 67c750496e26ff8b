package gopherdiscovery

import (
	"maps"
	"slices"
)

// connID names a connection within one server. It is never used again.
type connID uint64

// roster knows who is alive: which names were heard on which connections, and who is still to be heard in the poll that is
// running. Behind a connection there may be a device with many names. A roster has no socket, no clock and no goroutine.
type roster struct {
	conns map[connID]*member
	names map[string]int // on how many connections a name is known
	list  []string       // the names, sorted
	size  int            // of the list on the wire, in bytes

	poll    int // the number of the poll
	unheard int // connections and names that have not answered it
}

// member is what is known of a connection.
type member struct {
	heardIn int // the last poll in which it answered, or in which it came
	names   map[string]*presence
}

// presence is what is known of a name on a connection.
type presence struct {
	heardIn int // the last poll in which it answered
	missed  int // polls that it has missed in a row
}

func newRoster() *roster {
	return &roster{conns: make(map[connID]*member), names: make(map[string]int)}
}

// connect adds a connection. It owes no answer to a poll that is running.
func (r *roster) connect(id connID) {
	r.conns[id] = &member{heardIn: r.poll, names: make(map[string]*presence)}
}

// disconnect removes a connection, with the names that are on no other.
func (r *roster) disconnect(id connID) {
	m := r.conns[id]
	if m == nil {
		return
	}
	if m.heardIn != r.poll {
		r.unheard--
	}
	for name, p := range m.names {
		r.drop(m, name, p)
	}
	delete(r.conns, id)
}

// hear notes an answer. One from a connection that has ended changes nothing. The error tells why a new name is one too many.
func (r *roster) hear(id connID, name string) error {
	m := r.conns[id]
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
	case r.names[name] == 0 && r.size+len(separator)+len(name) > maxListLen:
		return errListFull
	default:
		m.names[name] = &presence{heardIn: r.poll}
		r.add(name)
	}
	return nil
}

// startPoll makes everyone owe an answer.
func (r *roster) startPoll() {
	r.poll++
	r.unheard = len(r.conns)
	for _, m := range r.conns {
		r.unheard += len(m.names)
	}
}

// silent returns how many names have not answered the poll, and how many are known, counted on each connection.
func (r *roster) silent() (silent, known int) {
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
func (r *roster) endPoll(limit int) {
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

func (r *roster) add(name string) {
	r.names[name]++
	if r.names[name] == 1 {
		at, _ := slices.BinarySearch(r.list, name)
		r.list = slices.Insert(r.list, at, name)
		r.size += len(separator) + len(name)
	}
}

func (r *roster) drop(m *member, name string, p *presence) {
	if p.heardIn != r.poll {
		r.unheard--
	}
	delete(m.names, name)
	r.names[name]--
	if r.names[name] > 0 {
		return
	}
	delete(r.names, name)
	at, _ := slices.BinarySearch(r.list, name)
	r.list = slices.Delete(r.list, at, at+1)
	r.size -= len(separator) + len(name)
}

// ids returns all connections, in no order.
func (r *roster) ids() []connID {
	return slices.Collect(maps.Keys(r.conns))
}
