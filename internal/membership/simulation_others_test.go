package membership

import (
	"math"
	"slices"
	"time"
)

// swim follows the published rules of memberlist, HashiCorp's SWIM with
// Lifeguard, with its defaults for a LAN. Each member probes a random other
// member every second, with a packet. If it has no answer after half a second,
// three others probe for it. If none of them has an answer within the second,
// the probed member is suspected: for 72 s, or for 12 s once two more members
// suspect it too (4 * log10(1000) probes, and six times that). The suspect
// refutes the suspicion as soon as it hears of it. A member that hears neither
// from the probed member nor from its helpers considers itself slow, and slows
// down its own probes.
//
// It is simplified. Gossip reaches all members after swimGossip, and all have
// the same view of a suspicion. A helper that runs counts as one that reports a
// failure. There is no probe over TCP. In these worlds it would help only where
// packets are lost, and there its two round trips take longer than the half
// second that is left.
type swim struct {
	*score
	events  simQueue
	members []int // not known to be dead
	state   []swimMember
}

type swimMember struct {
	awareness int // 0 is well
	suspected bool
	suspects  []int // who suspect this one
	since     time.Duration
	refutes   time.Duration // when all know that it is alive
	expires   time.Duration
}

const (
	swimProbe     = time.Second
	swimTimeout   = swimProbe / 2
	swimHelpers   = 3
	swimShortest  = 12 * time.Second
	swimLongest   = 6 * swimShortest
	swimConfirmed = 2
	swimAwareness = 7
	swimGossip    = time.Second
)

func simSwim(t *trace) *score {
	w := &swim{score: newScore(t), state: make([]swimMember, len(t.clients))}
	for id, c := range t.clients {
		w.events.push(c.joins, simJoins, id)
		if c.stops < t.until {
			w.events.push(c.stops, simStops, id)
		}
	}
	for {
		at := w.events.next()
		if at >= t.until {
			return w.score
		}
		switch kind, id := w.events.pop(); kind {
		case simJoins:
			w.comes(id)
			w.members = append(w.members, id)
			w.events.push(at+uniform(t.draw(id, drawTarget, at), 0, swimProbe), simProbes, id)
		case simStops:
			w.dies(id, at)
		case simProbes:
			w.probe(id, at)
		case simExpires:
			if m := &w.state[id]; m.suspected && at >= m.expires {
				w.dies(id, at)
			}
		case simRefutes:
			w.refuted(id, at)
		}
	}
}

func (w *swim) probe(id int, at time.Duration) {
	c, m := &w.clients[id], &w.state[id]
	if runs := c.paused.after(at); runs > at {
		w.events.push(runs, simProbes, id)
		return
	}
	if at >= c.hangs {
		return
	}
	slack := time.Duration(m.awareness + 1)
	w.events.push(at+slack*swimProbe, simProbes, id)
	target := w.other(id, drawTarget, at)
	heard := w.ask(id, target, at)
	late, end := at+slack*swimTimeout, at+slack*swimProbe
	if heard <= late {
		m.awareness = max(0, m.awareness-1)
		return
	}
	helpers := 0
	for n := range swimHelpers {
		helper := w.other(id, drawHelper+n, late)
		asked := w.react(helper, w.packet(helper, drawDown, late))
		if back := w.packet(helper, drawUp, asked); back < end {
			helpers++
		}
		if asked == never {
			continue
		}
		answered := w.packet(helper, drawUp, w.ask(helper, target, asked))
		heard = min(heard, w.react(id, answered))
	}
	if heard <= end {
		m.awareness = max(0, m.awareness-1)
		return
	}
	m.awareness = min(swimAwareness, m.awareness+swimHelpers-helpers)
	w.suspect(target, id, end)
}

// ask returns when a member has heard from another that it probes.
func (w *swim) ask(id, target int, at time.Duration) time.Duration {
	answered := w.react(target, w.packet(target, drawDown, at))
	return w.react(id, w.packet(target, drawUp, answered))
}

func (w *swim) other(id, purpose int, at time.Duration) int {
	for r := w.draw(id, purpose, at); ; {
		if other := w.members[r.IntN(len(w.members))]; other != id {
			return other
		}
	}
}

func (w *swim) suspect(id, by int, at time.Duration) {
	m := &w.state[id]
	switch {
	case !m.suspected:
		m.suspected, m.suspects, m.since = true, nil, at
		if m.refutes = w.react(id, at+swimGossip); m.refutes != never {
			m.refutes += swimGossip
			w.events.push(m.refutes, simRefutes, id)
		}
	case slices.Contains(m.suspects, by) || len(m.suspects) > swimConfirmed:
		return
	}
	m.suspects = append(m.suspects, by)
	confirmed := math.Log(float64(len(m.suspects))) / math.Log(swimConfirmed+1)
	m.expires = max(at, m.since+swimLongest-time.Duration(confirmed*float64(swimLongest-swimShortest)))
	w.events.push(m.expires, simExpires, id)
}

// refuted ends a suspicion, or the death that it has led to.
func (w *swim) refuted(id int, at time.Duration) {
	m := &w.state[id]
	if at < m.refutes || w.clients[id].stops <= at {
		return
	}
	m.suspected = false
	m.awareness = min(swimAwareness, m.awareness+1)
	if !w.listed[id] {
		w.comes(id)
		w.members = append(w.members, id)
	}
}

func (w *swim) dies(id int, at time.Duration) {
	w.state[id].suspected = false
	w.goes(id, at)
	w.members = slices.DeleteFunc(w.members, func(other int) bool { return other == id })
}

// eureka follows the published rules of Eureka, with its defaults. A client
// renews its lease of 90 s every 30 s, over TCP. Every minute the server evicts
// clients whose lease has ended, but no more than 15 % of all at once, and none
// if fewer than 85 % of the expected renewals came in the last minute.
//
// It is simplified. Two renewals are expected for each client that is
// registered now; Eureka counts the clients every quarter of an hour. A lease
// lasts as long as documented; in the program it lasts twice as long. The
// caches of up to a minute between the server and its users are left out.
type eureka struct {
	*score
	events   simQueue
	leases   []time.Duration // when they were renewed
	renewals int             // in this minute
}

const (
	eurekaRenews = 30 * time.Second
	eurekaLease  = 90 * time.Second
	eurekaEvicts = time.Minute
	eurekaShare  = 0.85
)

func simEureka(t *trace) *score {
	e := &eureka{score: newScore(t), leases: make([]time.Duration, len(t.clients))}
	for id, c := range t.clients {
		e.events.push(c.joins, simRenews, id)
		e.events.push(c.joins+uniform(t.draw(id, drawTarget, 0), 0, eurekaRenews), simProbes, id)
		if c.stops < t.until {
			e.events.push(c.stops, simStops, id)
		}
	}
	e.events.push(eurekaEvicts, simEvicts, 0)
	for {
		at := e.events.next()
		if at >= t.until {
			return e.score
		}
		switch kind, id := e.events.pop(); kind {
		case simProbes:
			if sent := t.react(id, at); sent != never {
				e.events.push(t.stalled.after(t.segment(id, drawUp, sent)), simRenews, id)
				e.events.push(max(sent, at+eurekaRenews), simProbes, id)
			}
		case simRenews:
			e.comes(id)
			e.leases[id] = at
			e.renewals++
		case simStops:
			e.goes(id, at)
		case simEvicts:
			e.evict(at)
			e.events.push(at+eurekaEvicts, simEvicts, 0)
		}
	}
}

func (e *eureka) evict(at time.Duration) {
	all := float64(len(e.listed))
	renewed := float64(e.renewals)
	e.renewals = 0
	if renewed < eurekaShare*all*float64(eurekaEvicts/eurekaRenews) {
		return
	}
	most := int((1 - eurekaShare) * all)
	for id, lease := range e.leases {
		if most > 0 && e.listed[id] && at-lease > eurekaLease {
			e.goes(id, at)
			most--
		}
	}
}
