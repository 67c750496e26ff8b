package gopherdiscovery

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// clusterEpoch is the time at which each simulated cluster begins.
var clusterEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// clusterSim is a cluster in virtual time: a queue of events, the machines, the
// network between them, and what is expected of the lists. It uses the rules of
// the library and nothing else of it: no socket, no clock, no goroutine. All
// that happens follows from the seed.
type clusterSim struct {
	clusterWorld
	rng   *rand.Rand
	now   time.Duration // since clusterEpoch
	queue clusterQueue
	count int // events so far

	addresses   []*clusterAddress
	clients     []*clusterClient // all that ever were
	subscribers []*clusterSubscriber
	oracle      clusterOracle
	journal     []string
	verbose     bool
}

// clusterEvent is something that happens at a time. Events of the same time
// happen in the order in which they were scheduled.
type clusterEvent struct {
	at    time.Duration
	order int
	do    func()
}

type clusterQueue []clusterEvent

func (q clusterQueue) Len() int { return len(q) }

func (q clusterQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].order < q[j].order
}

func (q clusterQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

func (q *clusterQueue) Push(e any) { *q = append(*q, e.(clusterEvent)) }

func (q *clusterQueue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = clusterEvent{}
	*q = (*q)[:last]
	return e
}

// after schedules an event.
func (c *clusterSim) after(d time.Duration, do func()) {
	c.count++
	heap.Push(&c.queue, clusterEvent{c.now + max(d, 0), c.count, do})
}

// run lets time pass.
func (c *clusterSim) run(until time.Duration) {
	for len(c.queue) > 0 && c.queue[0].at <= until && c.oracle.failure == "" {
		e := heap.Pop(&c.queue).(clusterEvent)
		c.now = e.at
		e.do()
	}
	c.now = until
}

// between returns a random time.
func (c *clusterSim) between(from, to time.Duration) time.Duration {
	if to <= from {
		return from
	}
	return from + time.Duration(c.rng.Int64N(int64(to-from)))
}

func (c *clusterSim) chance(p float64) bool { return c.rng.Float64() < p }

// log records what a reader of a failure needs to know.
func (c *clusterSim) log(format string, args ...any) {
	if c.verbose {
		c.journal = append(c.journal, fmt.Sprintf("%10.3f  ", c.now.Seconds())+fmt.Sprintf(format, args...))
	}
}

// clusterHost is a machine. While it is suspended its clock stands still and
// nothing reaches it.
type clusterHost struct {
	c         *clusterSim
	name      string
	dead      bool          // it has vanished
	suspended bool          // since lost
	lost      time.Duration // by which its clock is behind or, while suspended, shows
	frozen    []func()      // timers that were due while it was suspended
	cutUntil  time.Duration // no segment comes in or goes out
	cutFrom   map[*clusterHost]time.Duration
	listens   *clusterServer
}

func (c *clusterSim) newHost(name string) *clusterHost {
	return &clusterHost{c: c, name: name, cutFrom: make(map[*clusterHost]time.Duration)}
}

// clock returns the time as the machine knows it.
func (h *clusterHost) clock() time.Duration {
	if h.suspended {
		return h.lost
	}
	return h.c.now - h.lost
}

func (h *clusterHost) time() time.Time { return clusterEpoch.Add(h.clock()) }

// after calls do when the machine's clock has advanced by d.
func (h *clusterHost) after(d time.Duration, do func()) { h.at(h.clock()+max(d, 0), do) }

func (h *clusterHost) at(due time.Duration, do func()) {
	h.c.after(due-h.clock(), func() {
		switch {
		case h.dead:
		case h.suspended:
			h.frozen = append(h.frozen, func() { h.at(due, do) })
		case h.clock() < due:
			h.at(due, do)
		default:
			do()
		}
	})
}

// cutOff lets nothing through between two machines for a time.
func (h *clusterHost) cutOff(from *clusterHost, d time.Duration) {
	h.cutFrom[from] = max(h.cutFrom[from], h.c.now+d)
}

func (h *clusterHost) suspend() { h.lost, h.suspended = h.clock(), true }

func (h *clusterHost) wake() {
	h.lost, h.suspended = h.c.now-h.lost, false
	frozen := h.frozen
	h.frozen = nil
	for _, again := range frozen {
		again()
	}
}

// clusterProcess is a process on a machine. While it is stopped it does
// nothing, but the machine works on.
type clusterProcess struct {
	host    *clusterHost
	exited  bool
	stopped bool
	briefly bool // so briefly that it may not notice
	backlog []func()
	ends    []*clusterEnd // its open connections
}

func newClusterProcess(h *clusterHost) *clusterProcess {
	return &clusterProcess{host: h}
}

// run calls do as soon as the process runs.
func (p *clusterProcess) run(do func()) {
	switch {
	case p.exited || p.host.dead:
	case p.stopped:
		p.backlog = append(p.backlog, do)
	default:
		do()
	}
}

func (p *clusterProcess) after(d time.Duration, do func()) {
	p.host.after(d, func() { p.run(do) })
}

// proceed ends a stop. What has come in meanwhile is read in no order.
func (p *clusterProcess) proceed() {
	p.stopped = false
	backlog := p.backlog
	p.backlog = nil
	for _, do := range backlog {
		p.after(p.host.c.between(0, 50*time.Millisecond), do)
	}
}

// exit ends the process. Its machine closes all connections.
func (p *clusterProcess) exit() {
	for _, e := range slices.Clone(p.ends) {
		e.close()
	}
	p.exited, p.backlog = true, nil
}

func (p *clusterProcess) forget(e *clusterEnd) {
	p.ends = slices.DeleteFunc(p.ends, func(other *clusterEnd) bool { return other == e })
}
