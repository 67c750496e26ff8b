package membership

import (
	"maps"
	"slices"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// roster records which names are on the list, which connections, of type C,
// announce them, and which have not yet answered the running poll. A connection
// may lead to a device with many names behind it.
type roster[C comparable] struct {
	conns map[C]*member
	names map[string]*entry // on the list
	size  int               // of the list on the wire, in bytes
	total int               // names, counted once for each connection

	list  []string            // as sorted returned it last
	dirty map[string]struct{} // names that may have come or gone since

	// heard is how many names a connection announces that is not silent. The
	// others on the list are away, or their connections may be dead.
	heard int

	poll       int // the number of the last poll
	doubted    int // that of the last poll that was doubted
	unanswered int // names on connections that have not answered it

	overdueAt time.Time // when a silence that may end then is too long; zero if none
}

// member is the state of a connection.
type member struct {
	host    string // the remote host
	names   map[string]*presence
	checked bool // an answer is being checked, so later ones are not read yet

	// unjudged is true if the last poll ended during a check. It is judged when
	// the next one begins.
	unjudged bool

	// dropped is the name that was last dropped for its silence, and unanswered
	// the time of the first survey that it did not answer. If it answers after
	// all, the time since then is how long it takes to answer.
	dropped    string
	unanswered time.Time
}

// entry is a name on the list. All connections with the name share its string.
type entry struct {
	name  string
	conns int // connections that announce it
	heard int // of these, those that are not silent
}

func newRoster[C comparable]() roster[C] {
	return roster[C]{conns: make(map[C]*member), names: make(map[string]*entry), list: []string{}, dirty: make(map[string]struct{})}
}

// connect adds a connection.
func (r *roster[C]) connect(c C, host string) {
	r.conns[c] = &member{host: host, names: make(map[string]*presence)}
}

// member returns the state of a connection. One that has ended has no names.
func (r *roster[C]) member(c C) *member {
	if m := r.conns[c]; m != nil {
		return m
	}
	return &member{}
}

// disconnect removes a connection. It returns the names that no other
// connection announces, which stay on the list.
func (r *roster[C]) disconnect(c C) (ended []string) {
	m := r.member(c)
	for name, p := range m.names {
		if r.withdraw(m, name, p) {
			ended = append(ended, name)
		}
	}
	delete(r.conns, c)
	return ended
}

// leave removes a name from a connection, and from the list unless another
// connection announces it. It returns true if the list has changed.
func (r *roster[C]) leave(c C, name string) (changed bool) {
	m := r.member(c)
	m.checked = false
	p := m.names[name]
	return p != nil && r.drop(m, name, p)
}

// hear records an answer. Of a new name it also records how long the answer
// took. It returns true if no other connection announces the name. An answer
// from a connection that has ended is ignored. The error says which limit a new
// name exceeds.
func (r *roster[C]) hear(c C, name string, now time.Time, took time.Duration) (isNew bool, err error) {
	m := r.conns[c]
	if m == nil {
		return false, nil
	}
	m.checked = false
	p := m.names[name]
	switch {
	case p != nil:
		r.recordAnswer(name, p, now)
		return false, nil
	case len(m.names) == MaxNames:
		return false, errTooManyNames
	case r.total == MaxTotalNames, r.names[name] == nil && r.size+1+len(name) > wire.MaxListLen:
		return false, errListFull
	}
	if name == m.dropped { // slow, not hung
		took = now.Sub(m.unanswered)
	}
	p = &presence{answeredPoll: r.poll}
	p.recordDuration(took)
	e := r.add(name)
	m.names[e.name] = p
	return e.conns == 1, nil
}

// check records that an answer is being checked, which may take long. It counts
// as heard. Until the end of the check the connection is silent for no fault of
// its own.
func (r *roster[C]) check(c C, name string, now time.Time) {
	m := r.member(c)
	m.checked = true
	if p := m.names[name]; p != nil {
		r.recordAnswer(name, p, now)
	}
}

// checkEnded records that the answer of a connection was refused.
func (r *roster[C]) checkEnded(c C) { r.member(c).checked = false }

// announces reports whether a connection announces a name.
func (r *roster[C]) announces(c C, name string) bool { return r.member(c).names[name] != nil }

func (r *roster[C]) recordAnswer(name string, p *presence, now time.Time) {
	if p.answeredPoll != r.poll {
		p.answeredPoll = r.poll
		r.unanswered--
	}
	r.setSilent(name, p, 0)
	p.recordAnswer(now)
}

// setSilent sets how many polls a name has not answered on a connection.
func (r *roster[C]) setSilent(name string, p *presence, polls int) {
	switch was := p.silent; {
	case was < silentPolls && polls >= silentPolls:
		r.adjust(r.names[name], 0, -1)
	case was >= silentPolls && polls < silentPolls:
		r.adjust(r.names[name], 0, 1)
	}
	p.silent = polls
}

// adjust adds to the counts of an entry.
func (r *roster[C]) adjust(e *entry, conns, heard int) {
	if e.heard > 0 {
		r.heard--
	}
	e.conns += conns
	e.heard += heard
	if e.heard > 0 {
		r.heard++
	}
}

// beginPoll begins a poll, which all names owe an answer, except those that
// wait for a check.
func (r *roster[C]) beginPoll(now time.Time) {
	last := r.poll
	r.poll++
	r.unanswered = 0
	for _, m := range r.conns {
		if !m.checked {
			r.unanswered += len(m.names)
		}
		for name, p := range m.names {
			switch {
			case m.checked:
				p.answeredPoll, p.asked = r.poll, time.Time{}
				r.setSilent(name, p, 0)
				continue
			case m.unjudged && p.answeredPoll != last:
				r.setSilent(name, p, p.silent+1)
			}
			if p.asked.IsZero() {
				p.asked = now
			}
		}
		m.unjudged = false
	}
}

// add adds an announcement of a name.
func (r *roster[C]) add(name string) *entry {
	e := r.names[name]
	if e == nil {
		e = &entry{name: name}
		r.names[name] = e
		r.size += 1 + len(name)
		r.dirty[name] = struct{}{}
	}
	r.adjust(e, 1, 1)
	r.total++
	return e
}

// withdraw removes an announcement of a name. It returns true if it was the
// last one.
func (r *roster[C]) withdraw(m *member, name string, p *presence) (last bool) {
	if p.answeredPoll != r.poll {
		r.unanswered--
	}
	r.setSilent(name, p, 0)
	delete(m.names, name)
	r.total--
	e := r.names[name]
	r.adjust(e, -1, -1)
	return e.conns == 0
}

// drop removes an announcement of a name, and the name from the list if that
// was the last one. It returns true if the list has changed.
func (r *roster[C]) drop(m *member, name string, p *presence) (changed bool) {
	if !r.withdraw(m, name, p) {
		return false
	}
	r.remove(name)
	return true
}

// remove removes a name from the list that no connection announces.
func (r *roster[C]) remove(name string) {
	delete(r.names, name)
	r.size -= 1 + len(name)
	r.dirty[name] = struct{}{}
}

// sorted returns the sorted names. The caller must not modify the slice. Only
// names that have come or gone since the last call are sorted and merged.
func (r *roster[C]) sorted() []string {
	var removed, added []string
	for _, name := range slices.Sorted(maps.Keys(r.dirty)) {
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
		r.list, _ = wire.Edit(r.list, removed, added)
	}
	return r.list
}

// all returns the connections in no particular order.
func (r *roster[C]) all() []C { return slices.Collect(maps.Keys(r.conns)) }
