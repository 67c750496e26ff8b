package gopherdiscovery

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sp"
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

// The rules of TCP that matter here, and the options that the library sets.
const (
	clusterConnect = 2 * time.Second // an attempt to connect
	clusterSYN     = time.Second     // the second SYN

	// How long a segment may be unacknowledged at a server and at its peers. If
	// the peers' machines ended connections as early, a server that was
	// suspended would lose the old connections one by one while the new ones
	// are announced, which looks like single departures.
	clusterServerEnd = 20 * time.Second
	clusterPeerEnd   = 10 * time.Minute
)

// clusterAddress is an address of a server, which may move to another machine.
// It is nobody's while nothing answers.
type clusterAddress struct {
	name string
	host *clusterHost

	// For how long servers have run at the address.
	ran, since time.Duration
	running    bool
}

// clusterEnd is one end of a connection, as a machine and a process know it.
type clusterEnd struct {
	c        *clusterSim
	process  *clusterProcess
	other    *clusterEnd
	address  *clusterAddress // that was dialed; nil at the server
	userTime time.Duration   // for which a segment may be unacknowledged
	onEnd    func()          // once, unless the process closes the connection
	welcome  func()          // at the end of the handshake, at a peer
	onSurvey func()          // at a client
	session  *clusterSession // of a client's connection, once there is one
	link     *clusterLink    // of a client's connection
	feed     *clusterFeed    // of a subscriber's connection

	lost     int  // how often the first segment was lost by chance
	late     bool // a segment that was lost has arrived later
	answered bool // a client has answered a survey on it
	timedOut bool // the machine has given it up, however long the process was stopped
	closed   bool // the machine knows no such connection any more
	finished bool // the process has closed it
	heard    time.Duration
	outgoing []clusterSegment
	inbox    []func()
}

type clusterSegment struct {
	since time.Duration // on the sender's clock
	do    func()        // at the receiver
}

// delay returns how long a segment travels.
func (c *clusterSim) delay() time.Duration {
	return c.latency + time.Duration(c.rng.ExpFloat64()*float64(c.jitter))
}

func (c *clusterSim) areCut(a, b *clusterHost) bool {
	return a.dead || b.dead || a.suspended || b.suspended || a.cutUntil > c.now || b.cutUntil > c.now ||
		a.cutFrom[b] > c.now || b.cutFrom[a] > c.now
}

// dial tries to connect. It calls done with nil if that fails.
func (c *clusterSim) dial(p *clusterProcess, a *clusterAddress, to clusterPort, done func(*clusterEnd)) {
	over := false
	finish := func(e *clusterEnd) {
		if !over {
			over = true
			done(e)
		} else if e != nil {
			e.reset()
			e.other.reset()
		}
	}
	try := func() {
		if over {
			return
		}
		c.after(c.delay(), func() {
			if a.host == nil || c.areCut(p.host, a.host) || c.chance(c.loss) {
				return
			}
			if a.host.listens == nil {
				p.after(c.delay(), func() { finish(nil) })
				return
			}
			e := c.newConn(p, a)
			e.other.push(func() { finish(e) })
			a.host.listens.accept(e.other, to)
		})
	}
	try()
	p.after(clusterSYN, try)
	p.after(clusterConnect, func() { finish(nil) })
}

func (c *clusterSim) newConn(p *clusterProcess, a *clusterAddress) *clusterEnd {
	e := &clusterEnd{c: c, process: p, address: a, userTime: clusterPeerEnd, heard: p.host.clock()}
	server := a.host.listens.process
	e.other = &clusterEnd{c: c, process: server, other: e, userTime: clusterServerEnd, heard: server.host.clock()}
	p.ends, server.ends = append(p.ends, e), append(server.ends, e.other)
	for _, end := range []*clusterEnd{e, e.other} {
		end.process.host.after(sp.KeepAlive.Idle+c.delay(), end.keepAlive)
	}
	return e
}

// path reports whether a segment would reach the other machine, and if so
// whether a process there still reads the connection.
func (e *clusterEnd) path() (arrives, known bool) {
	to := e.other.process.host
	if a := e.address; a != nil && a.host != to {
		return a.host != nil && !e.c.areCut(e.process.host, a.host), false
	}
	return !e.c.areCut(e.process.host, to), !e.other.closed && !e.other.finished
}

// send sends something, which the other process does when it gets it.
func (e *clusterEnd) send(do func()) {
	if e.closed || e.finished {
		return
	}
	e.push(do)
}

func (e *clusterEnd) push(do func()) {
	e.outgoing = append(e.outgoing, clusterSegment{e.process.host.clock(), do})
	if len(e.outgoing) == 1 {
		e.transmit(e.c.delay(), e.firstRTO())
	}
}

func (e *clusterEnd) firstRTO() time.Duration { return max(200*time.Millisecond, 3*e.c.latency) }

// transmit sends the first segment that is not acknowledged, and all that
// follow once it has arrived.
func (e *clusterEnd) transmit(delay, rto time.Duration) {
	host := e.process.host
	host.after(delay, func() {
		if e.closed {
			return
		}
		arrives, known := e.path()
		switch {
		case arrives && e.c.chance(e.c.loss):
			e.lost++
			fallthrough
		case !arrives:
			left := e.userTime - (host.clock() - e.outgoing[0].since)
			if left <= 0 {
				e.timedOut = true
				e.reset()
				return
			}
			e.transmit(min(rto, left), 2*rto)
		case !known:
			host.after(e.c.delay(), e.reset)
		default:
			e.deliver()
		}
	})
}

// isUnlucky reports whether a segment was lost several times, and none before
// on this connection: the server cannot know yet that answers may be late.
func (e *clusterEnd) isUnlucky() bool {
	return max(e.lost, e.other.lost) > 1 && !e.late && !e.other.late
}

func (e *clusterEnd) deliver() {
	clock := e.process.host.clock()
	e.heard, e.other.heard = clock, e.other.process.host.clock()
	e.late, e.lost = e.late || e.lost > 0, 0
	for first := true; len(e.outgoing) > 0 && (first || e.outgoing[0].since+e.c.latency <= clock); first = false {
		do := e.outgoing[0].do
		e.outgoing = e.outgoing[1:]
		e.other.take(do)
	}
	if e.closed {
		return
	}
	if e.finished && len(e.outgoing) == 0 {
		e.gone()
	}
	if len(e.outgoing) > 0 {
		e.transmit(max(0, e.outgoing[0].since+e.c.delay()-clock), e.firstRTO())
	}
}

// take passes something to the process.
func (e *clusterEnd) take(do func()) {
	e.inbox = append(e.inbox, do)
	e.process.run(func() {
		for len(e.inbox) > 0 && !e.finished {
			do := e.inbox[0]
			e.inbox = e.inbox[1:]
			do()
		}
	})
}

// close is called by the process.
func (e *clusterEnd) close() {
	if e.finished {
		return
	}
	e.finished = true
	e.process.forget(e)
	if !e.closed {
		e.push(e.other.ended)
	}
}

func (e *clusterEnd) gone() { e.closed, e.outgoing = true, nil }

// ended is what a process does when it reads that the connection has ended.
func (e *clusterEnd) ended() {
	e.gone()
	if e.finished {
		return
	}
	e.finished = true
	e.process.forget(e)
	if e.onEnd != nil {
		e.onEnd()
	}
}

// reset ends the connection at once. What the process has not read is lost.
func (e *clusterEnd) reset() {
	if e.closed {
		return
	}
	e.gone()
	e.inbox = nil
	e.take(e.ended)
}

// KeepAlive probes a connection that may be idle.
func (e *clusterEnd) keepAlive() {
	if e.closed {
		return
	}
	host := e.process.host
	arrives, known := e.path()
	switch {
	case !arrives && host.clock()-e.heard >= e.userTime:
		e.timedOut = true
		e.reset()
	case !arrives:
		host.after(sp.KeepAlive.Interval, e.keepAlive)
	case !known:
		host.after(e.c.delay(), e.reset)
	default:
		e.heard = host.clock()
		host.after(sp.KeepAlive.Idle, e.keepAlive)
	}
}

const (
	// shortClusterStop is the length of a stop that the server may not notice.
	shortClusterStop = 750 * time.Millisecond

	// longestRTO is how long it may take until a segment is sent again.
	longestRTO = 20 * time.Second
)

// pick returns a share of the living clients.
func (c *clusterSim) pick(share float64) []*clusterClient {
	all := c.living()
	c.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:int(share*float64(len(all))+0.5)]
}

// join starts a client with a new name.
func (c *clusterSim) join() {
	name := fmt.Sprintf("c%02d", len(c.clients))
	c.startClient(name, c.newHost(name))
}

// end ends a living client.
func (c *clusterSim) end(how clusterEnding) {
	if all := c.living(); len(all) > 0 {
		all[c.rng.IntN(len(all))].die(how)
		c.observe()
	}
}

// kill kills clients at the same time.
func (c *clusterSim) kill(share float64) {
	for _, l := range c.pick(share) {
		l.die(clusterKilled)
	}
}

// deploy replaces clients by new ones.
func (c *clusterSim) deploy(share float64) {
	for _, l := range c.pick(share) {
		c.after(c.between(0, time.Second), func() {
			l.die(clusterLeaves)
			c.join()
		})
	}
}

// restart ends the server's process, and starts another one after a time.
func (c *clusterSim) restart(a *clusterAddress, down time.Duration) {
	s := a.server()
	if s == nil {
		return
	}
	c.oracle.disturb(down)
	s.exit()
	host := a.host
	c.replaced(a)
	c.after(down, func() {
		c.startServer(host)
		c.observe()
	})
}

// replaced records that the server at an address is not there any more.
func (c *clusterSim) replaced(a *clusterAddress) {
	c.observe()
	var all []*clusterLink
	for _, l := range c.living() {
		all = append(all, l.at(a))
	}
	c.disrupt(a, all, false)
	for _, link := range all {
		link.watch.since, link.watch.server = a.clock(c), nil
		link.watch.comes(c.now)
	}
}

// failOver lets an address move to another machine when nothing has answered
// for a time. The server there may have been up for long.
func (c *clusterSim) failOver(a *clusterAddress, down time.Duration, standby bool) {
	if a.server() == nil {
		return
	}
	c.log("%s vanishes for %.3f s", a.host.name, down.Seconds())
	c.oracle.disturb(down)
	a.host.dead = true
	a.host = nil
	c.replaced(a)
	c.machines++
	host := c.newHost(fmt.Sprint(a.name, "-", c.machines))
	if standby {
		c.startServer(host)
	}
	c.after(down, func() {
		if !standby {
			c.startServer(host)
		}
		c.log("%s moves to %s", a.name, host.name)
		a.host = host
		c.observe()
	})
}

// cut cuts the connections of clients, who cannot return for a time.
func (c *clusterSim) cut(a *clusterAddress, share float64, down time.Duration) {
	s := a.server()
	if s == nil {
		return
	}
	all := c.pick(share)
	c.log("%d clients are cut from %s for %.3f s", len(all), a.name, down.Seconds())
	c.oracle.disturb(down)
	var hit []*clusterLink
	for _, l := range all {
		hit = append(hit, l.at(a))
		for _, e := range slices.Clone(l.process.ends) {
			if e.address == a {
				c.after(c.between(0, 10*time.Millisecond), e.reset)
				c.after(c.between(0, 10*time.Millisecond), e.other.reset)
			}
		}
		if down > 0 {
			l.process.host.cutOff(s.process.host, down)
		}
	}
	c.disrupt(a, hit, true)
	if share == 1 || c.chance(0.3) {
		c.cutSubscribers(a, down)
	}
	c.until(down)
}

// blackOut lets nothing through between clients and an address for a time.
func (c *clusterSim) blackOut(a *clusterAddress, share float64, down time.Duration) {
	s := a.server()
	if s == nil {
		return
	}
	all := c.pick(share)
	c.log("nothing passes between %d clients and %s for %.3f s", len(all), a.name, down.Seconds())
	c.oracle.disturb(down + longestRTO + c.options.PollTime)
	if share == 1 || c.chance(0.3) {
		c.blackOutSubscribers(a, down)
	}
	for _, l := range all {
		l.process.host.cutOff(s.process.host, down)
	}
	c.until(down)
}

// stop stops the server's process for a time.
func (c *clusterSim) stop(a *clusterAddress, d time.Duration) {
	s := a.server()
	if s == nil || s.process.stopped {
		return
	}
	c.log("%s stops for %.3f s", a.name, d.Seconds())
	c.oracle.disturb(d)
	s.process.stopped, s.process.briefly = true, d < shortClusterStop
	c.observe()
	c.after(d, func() {
		s.process.briefly = false
		s.process.proceed()
		s.oracle.stopped = s.process.host.clock()
		c.observe()
	})
}

// suspend suspends the server's machine for a time.
func (c *clusterSim) suspend(a *clusterAddress, d time.Duration) {
	s := a.server()
	if s == nil || s.process.host.suspended {
		return
	}
	c.log("the machine of %s is suspended for %.3f s", a.name, d.Seconds())
	c.oracle.disturb(d + longestRTO + c.options.PollTime)
	s.process.host.suspend()
	c.observe()
	c.after(d, func() {
		s.process.host.wake()
		c.observe()
	})
}

// cutSubscribers cuts the connections of all subscribers, who cannot return for
// a time.
func (c *clusterSim) cutSubscribers(a *clusterAddress, down time.Duration) {
	for _, s := range c.subscribers {
		for _, e := range slices.Clone(s.process.ends) {
			if e.address == a {
				c.after(c.between(0, 10*time.Millisecond), e.reset)
				c.after(c.between(0, 10*time.Millisecond), e.other.reset)
			}
		}
		s.disturb(down)
		s.process.host.cutOff(a.host, down)
	}
}

func (c *clusterSim) blackOutSubscribers(a *clusterAddress, down time.Duration) {
	for _, s := range c.subscribers {
		s.disturb(down + longestRTO)
		s.process.host.cutOff(a.host, down)
	}
}

// hitSubscriber does something to a subscriber.
func (c *clusterSim) hitSubscriber(a *clusterAddress) {
	s := c.subscribers[c.rng.IntN(len(c.subscribers))]
	d := c.some(100*time.Millisecond, time.Minute)
	switch c.rng.IntN(4) {
	case 0:
		c.log("%s stops for %.3f s", s.name, d.Seconds())
		if !s.process.stopped {
			s.process.stopped = true
			s.disturb(d)
			c.after(d, func() {
				s.woke = c.now
				s.process.proceed()
			})
		}
	case 1:
		if a.server() != nil {
			c.log("%s is cut for %.3f s", s.name, d.Seconds())
			c.cutSubscribers(a, d)
		}
	case 2:
		if a.server() != nil {
			c.log("nothing passes between the subscribers and %s for %.3f s", a.name, d.Seconds())
			c.blackOutSubscribers(a, d)
		}
	default:
		c.log("the machine of %s is suspended for %.3f s", s.name, d.Seconds())
		if !s.process.host.suspended {
			s.process.host.suspend()
			s.disturb(d + longestRTO)
			c.after(d, func() {
				s.woke = c.now
				s.process.host.wake()
			})
		}
	}
}
