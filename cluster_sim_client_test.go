package gopherdiscovery

import (
	"slices"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sp"
)

// clusterClient is a client: a process with a name.
type clusterClient struct {
	c       *clusterSim
	name    string
	process *clusterProcess
	links   []*clusterLink // to each server
	end     clusterEnding
	ended   time.Duration
}

// clusterLink is what a client has to do with one server: a connection, and
// beside it another one while it doubts the first.
type clusterLink struct {
	client   *clusterClient
	address  *clusterAddress
	failures int
	since    time.Duration // when last connected
	main     *clusterEnd
	beside   *clusterEnd // connected, and not surveyed
	dialing  bool

	pulse  pulse
	wrong  int // doubts in a row that have proved wrong
	doubts bool
	timer  int // the number of the last timer
	watch  clusterWatch
}

// startClient starts a client on a machine of its own or on one of others.
func (c *clusterSim) startClient(name string, h *clusterHost) *clusterClient {
	l := &clusterClient{c: c, name: name, process: newClusterProcess(h)}
	c.clients = append(c.clients, l)
	for _, a := range c.addresses {
		link := &clusterLink{client: l, address: a}
		l.links = append(l.links, link)
		link.watch.link = link
		link.watch.update()
		link.dial()
	}
	c.log("%s starts", name)
	c.oracle.born(l)
	return l
}

func (l *clusterLink) dial() {
	l.dialing = true
	p := l.client.process
	l.client.c.dial(p, l.address, clusterSurveys, func(e *clusterEnd) {
		if e == nil {
			l.redial()
			return
		}
		connected := false
		e.link = l
		e.onEnd = func() {
			if !connected {
				connected = true // and ended
				l.redial()
			}
		}
		e.welcome = func() {
			if !connected {
				connected = true
				l.connected(e)
			}
		}
		p.after(sp.HandshakeTime, func() {
			if !connected {
				connected = true
				e.close()
				l.redial()
			}
		})
	})
}

// redial dials again after a pause, unless that is needless.
func (l *clusterLink) redial() {
	l.dialing = false
	if l.main != nil && !l.doubts {
		return
	}
	l.dialing = true
	pause := sp.RedialDelay(l.failures, l.client.c.rng.Float64())
	l.failures++
	l.client.process.after(pause, func() {
		if l.main != nil && !l.doubts {
			l.dialing = false
			return
		}
		l.dial()
	})
}

func (l *clusterLink) connected(e *clusterEnd) {
	l.dialing = false
	e.onSurvey = func() { l.surveyed(e) }
	e.onEnd = func() { l.lost(e) }
	switch {
	case l.main == nil:
		l.use(e)
	case l.doubts:
		l.beside = e
	default:
		e.close()
	}
}

// use makes a connection the one of the client.
func (l *clusterLink) use(e *clusterEnd) {
	l.main, l.beside, l.doubts = e, nil, false
	l.since = l.client.c.now
	l.pulse.begin(l.client.process.host.time())
	l.expect()
}

func (l *clusterLink) lost(e *clusterEnd) {
	switch e {
	case l.beside:
		l.beside = nil
	case l.main:
		l.main = nil
		if l.client.c.now-l.since > sp.RedialMax {
			l.failures = 0
		}
		if l.beside != nil {
			l.use(l.beside)
			return
		}
	}
	if !l.dialing {
		l.redial()
	}
}

func (l *clusterLink) surveyed(e *clusterEnd) {
	c, p := l.client.c, l.client.process
	var old *clusterEnd
	if e == l.beside {
		old = l.main
		l.use(e)
	} else if l.doubts {
		l.doubts = false
		l.wrong++
		if l.beside != nil {
			l.beside.close()
			l.beside = nil
		}
	}
	l.pulse.surveyed(p.host.time())
	l.expect()
	p.after(c.between(0, c.react), func() {
		l.answer(e, false)
	})
	if old != nil {
		l.retire(old, e)
	}
}

// retire closes a connection that another one has replaced.
func (l *clusterLink) retire(old, by *clusterEnd) {
	l.client.process.after(replacedTime, func() {
		if l.main == by && len(by.outgoing) > 0 {
			l.retire(old, by)
		} else {
			old.close()
		}
	})
}

func (l *clusterLink) answer(e *clusterEnd, leaves bool) {
	r, name, read := e.session, l.client.name, false
	e.answered = true
	e.send(func() {
		read = true
		r.server.answer(clusterAnswer{r, name, leaves})
	})
	l.client.process.after(ackTime, func() {
		if !read && e == l.main && !e.closed {
			l.doubt()
		}
	})
}

// expect sets the time of the next doubt.
func (l *clusterLink) expect() {
	l.timer++
	number := l.timer
	if l.pulse.pauses < pulsePauses {
		return
	}
	patience := max(missedPauses*l.pulse.pause, shortestDoubt) << min(l.wrong, 4)
	l.client.process.after(patience, func() {
		if l.timer == number && l.main != nil {
			l.doubt()
		}
	})
}

// doubt dials another connection beside the one that seems dead.
func (l *clusterLink) doubt() {
	if l.doubts {
		return
	}
	l.client.c.log("%s doubts %s", l.client.name, l.address.name)
	l.doubts = true
	if !l.dialing && l.beside == nil {
		l.failures = 0
		l.dial()
	}
}

// clusterEnding is how a client ends.
type clusterEnding int

const (
	clusterLives clusterEnding = iota
	clusterLeaves
	clusterKilled
	clusterHangs
	clusterVanishes
)

func (e clusterEnding) String() string {
	return [...]string{"lives", "leaves", "is killed", "hangs", "vanishes"}[e]
}

// die ends a client.
func (l *clusterClient) die(end clusterEnding) {
	if l.end != clusterLives {
		return
	}
	l.end = end
	l.c.log("%s %s", l.name, end)
	switch end {
	case clusterLeaves:
		for _, link := range l.links {
			for _, e := range []*clusterEnd{link.main, link.beside} {
				if e != nil && e.answered {
					link.answer(e, true)
				}
			}
		}
		l.process.exit()
	case clusterKilled:
		l.process.exit()
	case clusterHangs:
		l.process.stopped = true
	case clusterVanishes:
		l.process.host.dead = true
	}
	l.c.oracle.died(l)
}

func (c *clusterSim) living() []*clusterClient {
	return slices.DeleteFunc(slices.Clone(c.clients), func(l *clusterClient) bool { return l.end != clusterLives })
}
