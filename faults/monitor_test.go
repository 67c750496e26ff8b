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

	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// standing is what lists may say about a name.
type standing int

const (
	unsure standing = iota // it is coming or going
	alive                  // each list must have it
	dead                   // it must not be back in a list that it has left
)

// monitor records the lists that all readers receive, and checks them.
type monitor struct {
	mu       sync.Mutex // guards the fields below
	readers  map[string]*reader
	truth    map[fact][]transition
	changed  chan struct{} // closed and replaced with each list
	wrong    []string      // a living name was missing
	returned []string      // a dead one was back
	// quietSince is the time from which each list is unexpected, or zero if
	// lists are expected.
	quietSince time.Time
	unexpected []delivered // lists delivered since then
}

// delivered is a list that was delivered.
type delivered struct {
	at   time.Time
	what string
}

// reader is a subscription and the last list that was delivered to it.
type reader struct {
	process *process
	away    bool // stopped or cut off, so not waited for
	list    map[string]bool
	left    map[string]bool // names that have left its list
	at      time.Time
}

// fact is a name, as it stands for the readers in one part of the network.
type fact struct {
	name string
	side *space
}

type transition struct {
	from time.Time
	standing
}

func newMonitor() *monitor {
	return &monitor{readers: make(map[string]*reader), truth: make(map[fact][]transition), changed: make(chan struct{})}
}

// expect registers the readers of a process, so that they are waited for.
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

// setAway says whether the readers of a process cannot get lists at the moment.
func (m *monitor) setAway(p *process, away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.readers {
		if r.process == p {
			r.away = away
		}
	}
}

// hear records a list and checks it.
func (m *monitor) hear(p *process, c change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := readerID(p, c.Reader)
	r := m.readers[id]
	if r == nil {
		return
	}
	if !m.quietSince.IsZero() && c.At.After(m.quietSince) {
		m.unexpected = append(m.unexpected, delivered{c.At, fmt.Sprintf("%s: %s: joined %v, left %v", c.At.Format(clock), id, c.Joined, c.Left)})
	}
	if c.First {
		r.list, r.left = make(map[string]bool), make(map[string]bool)
	}
	for _, name := range c.Joined {
		r.list[name] = true
		if r.left[name] && m.standingLocked(name, p.space, c.At) == dead {
			m.returned = append(m.returned, fmt.Sprintf("%s: %s is back in the list of %s", c.At.Format(clock), name, id))
		}
	}
	missing := c.Left
	if c.First {
		missing = m.missingLocked(r, c.At)
	}
	for _, name := range c.Left {
		delete(r.list, name)
		r.left[name] = true
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

// missingLocked returns the living names that are not in a reader's first list.
func (m *monitor) missingLocked(r *reader, at time.Time) []string {
	var missing []string
	for f := range m.truth {
		if f.side == r.process.space && !r.list[f.name] && m.standingLocked(f.name, f.side, at) == alive {
			missing = append(missing, f.name)
		}
	}
	return missing
}

// withoutList names a reader that has no list yet, or returns "" if there is
// none.
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

// declare says how names stand from now on, for the readers on the given sides
// of the network.
func (m *monitor) declare(is standing, names []string, sides ...*space) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range names {
		for _, side := range sides {
			f := fact{name, side}
			m.truth[f] = append(m.truth[f], transition{now, is})
		}
	}
}

// await returns when all readers on the given sides, except those that are
// away, have exactly these names. It returns the time at which the last of them
// received its list.
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

// margin is what a busy machine may add to a promised time. It is shorter than
// the time to return, so a leave that waits for that is found.
// TestKillIsSeenAtOnce is stricter. Under the race detector everything takes
// several times as long, and less is found.
var margin = 3 * raceFactor * time.Second

var raceFactor = func() time.Duration {
	if testmain.IsRace() {
		return 5
	}
	return 1
}()

// awaitWithin is await for something that is promised for a time after an
// event. It returns how long after the event the last reader received its list.
func (m *monitor) awaitWithin(t *testing.T, want []string, event time.Time, promised time.Duration, sides ...*space) time.Duration {
	t.Helper()
	took := m.await(t, want, promised+patience, sides...).Sub(event)
	if took > promised+margin {
		t.Errorf("all readers had the list after %v, want it within %v and a margin of %v", took, promised, margin)
	}
	return took
}

// lateLocked describes the readers that do not have the list. It also returns
// the time at which the last of all readers received a list.
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

// falseLeaves returns how many lists lacked a living name. It fails the test if
// there are any, or if a list had a dead name again.
func (m *monitor) falseLeaves(t *testing.T) int {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	reportAll(t, "living missing", m.wrong)
	reportAll(t, "dead back", m.returned)
	return len(m.wrong)
}

func reportAll(t *testing.T, what string, found []string) {
	t.Helper()
	if len(found) > 0 {
		t.Errorf("%s, %d times:\n%s", what, len(found), some(found))
	}
}

// expectQuiet says that nothing changes from now on.
func (m *monitor) expectQuiet() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.quietSince, m.unexpected = time.Now(), nil
}

// checkQuiet says that nothing has changed until a given time, and fails the
// test if a list was delivered meanwhile.
func (m *monitor) checkQuiet(t *testing.T, until time.Time) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	var heard []string
	for _, d := range m.unexpected {
		if d.at.Before(until) {
			heard = append(heard, d.what)
		}
	}
	reportAll(t, "lists without a change", heard)
	m.quietSince = time.Time{}
}

// some returns the first of many lines.
func some(lines []string) string { return strings.Join(lines[:min(len(lines), 10)], "\n") }
