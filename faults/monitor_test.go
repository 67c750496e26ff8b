//go:build linux

package faults

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// standing is what the lists may say about a name.
type standing int

const (
	unsure standing = iota // it is coming or going
	alive                  // each list must have it
	dead                   // no list may have it
)

// monitor keeps what everyone was told, and judges it.
type monitor struct {
	mu      sync.Mutex // guards the fields below
	readers map[string]*reader
	truth   map[fact][]judgement
	changed chan struct{} // closed and replaced with each list
	wrong   []string      // a living name was missing
	ghosts  []string      // a dead one was back
	hushed  time.Time     // from then on each list is noise; zero if lists are expected
	noise   []delivered   // what was delivered all the same
}

// delivered is a list that was delivered.
type delivered struct {
	at   time.Time
	what string
}

// reader is a subscription: the last list it was delivered.
type reader struct {
	process *process
	away    bool // stopped or cut off: nobody waits for it
	list    map[string]bool
	at      time.Time
}

// fact is what a name is for the readers in one part of the network.
type fact struct {
	name string
	side *space
}

type judgement struct {
	from time.Time
	standing
}

func newMonitor() *monitor {
	return &monitor{readers: make(map[string]*reader), truth: make(map[fact][]judgement), changed: make(chan struct{})}
}

// expect makes known the readers of a process, so that they are waited for.
func (m *monitor) expect(p *process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range len(p.order.Clients) + p.order.Subscribers {
		m.readers[readerID(p, i)] = &reader{process: p}
	}
}

func readerID(p *process, i int) string { return fmt.Sprintf("%s reader %d", p.id, i) }

// forget drops the readers of a process that has ended.
func (m *monitor) forget(p *process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.readers, func(_ string, r *reader) bool { return r.process == p })
}

// setAway tells whether the readers of a process can get lists at the moment.
func (m *monitor) setAway(p *process, away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.readers {
		if r.process == p {
			r.away = away
		}
	}
}

// hear takes a list.
func (m *monitor) hear(p *process, c change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := readerID(p, c.Reader)
	r := m.readers[id]
	if r == nil {
		return
	}
	if !m.hushed.IsZero() && c.At.After(m.hushed) {
		m.noise = append(m.noise, delivered{c.At, fmt.Sprintf("%s: %s: joined %v, left %v", c.At.Format(clock), id, c.Joined, c.Left)})
	}
	if c.First {
		r.list = make(map[string]bool)
	}
	for _, name := range c.Joined {
		r.list[name] = true
		if m.standingLocked(name, p.space, c.At) == dead {
			m.ghosts = append(m.ghosts, fmt.Sprintf("%s: %s is back in the list of %s", c.At.Format(clock), name, id))
		}
	}
	missing := c.Left
	if c.First {
		missing = m.missingLocked(r, c.At)
	}
	for _, name := range c.Left {
		delete(r.list, name)
	}
	for _, name := range missing {
		if m.standingLocked(name, p.space, c.At) == alive {
			m.wrong = append(m.wrong, fmt.Sprintf("%s: %s is not in the list of %s (its first: %t)", c.At.Format(clock), name, id, c.First))
		}
	}
	r.at = c.At
	close(m.changed)
	m.changed = make(chan struct{})
}

const clock = "15:04:05.000"

// missingLocked returns who is not in a reader's first list.
func (m *monitor) missingLocked(r *reader, at time.Time) []string {
	var missing []string
	for f := range m.truth {
		if f.side == r.process.space && !r.list[f.name] && m.standingLocked(f.name, f.side, at) == alive {
			missing = append(missing, f.name)
		}
	}
	return missing
}

// withoutList returns which reader has no list yet.
func (m *monitor) withoutList() (missing string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, r := range m.readers {
		if r.list == nil && !r.away {
			return id + " has no list"
		}
	}
	return ""
}

func (m *monitor) standingLocked(name string, side *space, at time.Time) standing {
	is := unsure
	for _, j := range m.truth[fact{name, side}] {
		if !j.from.After(at) {
			is = j.standing
		}
	}
	return is
}

// declare says what holds for names from now on, for the readers on some sides of the network.
func (m *monitor) declare(is standing, names []string, sides ...*space) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range names {
		for _, side := range sides {
			f := fact{name, side}
			m.truth[f] = append(m.truth[f], judgement{now, is})
		}
	}
}

// await returns when all readers on the sides that are not away have exactly these names, and tells when the last of them got its list.
func (m *monitor) await(t *testing.T, want []string, limit time.Duration, sides ...*space) time.Time {
	t.Helper()
	timeout := time.After(limit)
	for {
		m.mu.Lock()
		changed := m.changed
		last, late := m.lateLocked(want, sides)
		m.mu.Unlock()
		if len(late) == 0 {
			return last
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("%d readers do not have the list in %v:\n%s", len(late), limit, some(late))
		}
	}
}

// lateLocked returns who does not have the list, and when the last of those who have it got it.
func (m *monitor) lateLocked(want []string, sides []*space) (last time.Time, late []string) {
	for id, r := range m.readers {
		if r.away || !slices.Contains(sides, r.process.space) {
			continue
		}
		var missing []string
		for _, name := range want {
			if !r.list[name] {
				missing = append(missing, name)
			}
		}
		if len(missing) > 0 || len(r.list) != len(want) {
			late = append(late, fmt.Sprintf("%s: %d names, want %d, missing %v", id, len(r.list), len(want), missing))
		}
		if r.at.After(last) {
			last = r.at
		}
	}
	return last, late
}

// falseLeaves returns how many lists lacked a living name, and fails the test if any did, or had a dead one again.
func (m *monitor) falseLeaves(t *testing.T) int {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	judge(t, "living missing", m.wrong)
	judge(t, "dead back", m.ghosts)
	return len(m.wrong)
}

func judge(t *testing.T, what string, found []string) {
	t.Helper()
	if len(found) > 0 {
		t.Errorf("%s, %d times:\n%s", what, len(found), some(found))
	}
}

// hush says that nothing changes from now on.
func (m *monitor) hush() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hushed, m.noise = time.Now(), nil
}

// unhush says until when nothing has changed, and fails the test if any list was delivered meanwhile.
func (m *monitor) unhush(t *testing.T, until time.Time) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	var heard []string
	for _, d := range m.noise {
		if d.at.Before(until) {
			heard = append(heard, d.what)
		}
	}
	judge(t, "lists without a change", heard)
	m.hushed = time.Time{}
}

// some returns the first lines of many.
func some(lines []string) string { return strings.Join(lines[:min(len(lines), 10)], "\n") }
