package gopherdiscovery

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// clusterWatch knows whether a client could be announced at a server.
type clusterWatch struct {
	link      *clusterLink
	able      bool // it runs, the server does, and the network between them
	ableSince time.Duration

	// trouble is true from the loss of a connection or of the ability until an
	// answer has come since. All times are on the clock of the server.
	trouble      bool
	since        time.Duration
	server       *clusterServer   // that it began at; nil if that has ended
	alone        bool             // it was alone, or one of few
	hit          *clusterHit      // what has hit it while it was announced; nil if not known
	timedOut     bool             // the server's machine has given its last connection up
	left         bool             // it has left a list, rightly
	absences     []clusterAbsence // from the server's list
	excusedUntil time.Duration
}

// clusterHit is something that has hit announced clients at once. Clients that
// are announced soon after it make them fewer of all.
type clusterHit struct {
	names, listed int
	until         time.Duration // on the clock of the server
}

// isMass reports whether the clients are so many that they have time to return.
func (h *clusterHit) isMass() bool {
	return h.names >= 3 && 10*h.names > 6*h.listed || h.names >= 2 && h.names == h.listed
}

// isAlone reports whether it was hit alone, or with few others.
func (w *clusterWatch) isAlone() bool { return w.alone || w.hit != nil && !w.hit.isMass() }

// clusterAbsence is a time in which a living client was rightly missing from
// the list of a server. The end is zero while it is.
type clusterAbsence struct{ from, until time.Duration }

// goes records that a client is rightly missing from now on.
func (w *clusterWatch) goes(now time.Duration) {
	w.comes(now)
	w.absences = append(w.absences, clusterAbsence{from: now})
}

// comes records that it is not, or must not be, any more.
func (w *clusterWatch) comes(now time.Duration) {
	if n := len(w.absences); n > 0 && w.absences[n-1].until == 0 {
		w.absences[n-1].until = now
	}
}

// wasMissing reports whether it was rightly missing at a time.
func (w *clusterWatch) wasMissing(at time.Duration) bool {
	return slices.ContainsFunc(w.absences, func(a clusterAbsence) bool {
		return a.from <= at && (a.until == 0 || at <= a.until)
	})
}

// clock returns the time for which servers have run at the address.
func (a *clusterAddress) clock(c *clusterSim) time.Duration {
	if a.running {
		return a.ran + c.now - a.since
	}
	return a.ran
}

// update reports whether a server runs that did not.
func (a *clusterAddress) update(c *clusterSim) (resumed bool) {
	s := a.server()
	if s != nil && s.process.briefly {
		return false
	}
	running := s != nil && !s.process.stopped && !s.process.host.suspended && !s.process.host.dead
	if running != a.running {
		a.ran, a.since, a.running = a.clock(c), c.now, running
		return running
	}
	return false
}

func (a *clusterAddress) server() *clusterServer {
	if a.host == nil {
		return nil
	}
	return a.host.listens
}

// observe looks which clients are able to be announced. It is called after each
// event that may change that.
func (c *clusterSim) observe() {
	for _, a := range c.addresses {
		resumed := a.update(c)
		var unable []*clusterLink
		for _, l := range c.living() {
			link := l.at(a)
			// After a stop of the server, some may have a trouble of their own.
			if w := &link.watch; w.update() || resumed && !w.able && w.server == a.server() {
				unable = append(unable, link)
			}
		}
		c.trouble(a, unable, false)
	}
}

// until observes again after a time.
func (c *clusterSim) until(d time.Duration) {
	c.observe()
	c.after(d+time.Nanosecond, c.observe)
}

func (l *clusterClient) at(a *clusterAddress) *clusterLink {
	return l.links[slices.IndexFunc(l.links, func(link *clusterLink) bool { return link.address == a })]
}

// isTroubled reports whether the client has lost a connection or its ability.
func (l *clusterClient) isTroubled() bool {
	return slices.ContainsFunc(l.links, func(link *clusterLink) bool { return link.watch.trouble })
}

// isExcused reports whether the client may be missing for a reason of its own.
func (l *clusterClient) isExcused() bool {
	return slices.ContainsFunc(l.links, func(link *clusterLink) bool {
		return link.watch.isAlone() || link.watch.excusedUntil > l.c.now
	})
}

// update reports whether the client has just become unable.
func (w *clusterWatch) update() (unable bool) {
	l := w.link
	s := l.address.server()
	able := l.address.running && s != nil && !l.client.process.stopped &&
		!l.client.c.areCut(l.client.process.host, s.process.host)
	was := w.able
	w.able = able
	if able && !was {
		w.ableSince = l.address.clock(l.client.c)
	}
	return was && !able
}

// trouble records that something has hit clients at once: it has cut their
// connections, or they are not able any more.
func (c *clusterSim) trouble(a *clusterAddress, hit []*clusterLink, cut bool) {
	mass := !cut && !a.running
	var h clusterHit
	s := a.server()
	var announced map[string]int
	if s != nil {
		announced = s.oracle.announced()
		h.listed = len(announced) + s.oracle.recentEnds()
		for _, link := range hit {
			h.names += min(1, announced[link.client.name])
		}
		if h.until = a.clock(c) + 1100*time.Millisecond; !cut { // their silence is noticed later
			h.until = math.MaxInt64
		}
	}
	for _, link := range hit {
		w := &link.watch
		if !mass && h.isMass() && announced[link.client.name] > 0 {
			w.hit = &h
		}
		if !w.trouble {
			w.trouble, w.since, w.server = true, a.clock(c), a.server()
		}
		w.alone = w.alone || !mass && !h.isMass()
	}
}

// announced records that a client is announced that was not before.
func (w *clusterWatch) announced() {
	a, hits := w.link.address, make(map[*clusterHit]bool)
	for _, l := range w.link.client.c.living() {
		if h := l.at(a).watch.hit; h != nil && h != w.hit && a.clock(l.c) < h.until && !hits[h] {
			hits[h] = true
			h.listed++
		}
	}
}

// answered records that the server has read an answer of the client.
func (w *clusterWatch) answered() {
	c := w.link.client.c
	if !w.able || !w.trouble {
		return
	}
	if w.isAlone() || w.left {
		w.excusedUntil = c.now + time.Second + c.oracle.network()
	}
	w.trouble, w.alone, w.timedOut, w.left, w.hit = false, false, false, false, nil
}

// unjustified returns why the client, which lives, must not leave now, or
// nothing if it may.
func (w *clusterWatch) unjustified() string {
	c, a := w.link.client.c, w.link.address
	clock, returnTime := a.clock(c), c.options.ReturnTime
	switch {
	case w.isAlone() || c.now < w.excusedUntil:
		w.left = true
		return ""
	case w.link.main != nil && w.link.main.isUnlucky():
		w.trouble, w.left = true, true
		return ""
	case !w.trouble:
		return "nothing has happened to it"
	}
	since := w.since
	if w.timedOut { // its machine has counted on while the server was stopped
		since = min(since, clock-clusterServerEnd)
	}
	if s := a.server(); s != nil && s == w.server {
		switch {
		case len(s.oracle.announced()) == 0:
			since += longestClusterOutage
		default:
			since = min(since+longestClusterOutage, max(since, s.oracle.resumed))
		}
	}
	switch by := since + returnTime; {
	case clock < by-300*time.Millisecond:
		return fmt.Sprintf("its trouble began only %.3f s ago", (clock - since).Seconds())
	case !w.able || w.ableSince+c.slack() > by:
		w.left = true
		return ""
	}
	return fmt.Sprintf("it has been able to return for %.3f s", (clock - w.ableSince).Seconds())
}

const longestClusterOutage = 30 * time.Second
