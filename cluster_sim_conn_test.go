package gopherdiscovery

import (
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sp"
)

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

// isUnlucky reports whether a segment was lost several times, and none before on
// this connection: the server cannot know yet that answers may be late.
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
