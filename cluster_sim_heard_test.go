package gopherdiscovery

import (
	"slices"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// serverOracle knows what a server has been told.
type serverOracle struct {
	server  *clusterServer
	resumed time.Duration // when somebody was announced after nobody
	ends    []time.Duration
	stopped time.Duration
}

func newServerOracle(s *clusterServer) serverOracle {
	return serverOracle{server: s, stopped: -time.Hour}
}

// announced returns how many connections announce each name. Those that were
// dropped for their silence do not.
func (o *serverOracle) announced() map[string]int {
	names := make(map[string]int)
	for _, r := range o.server.plan.All() {
		if name := r.link.client.name; o.server.plan.Announces(r, name) {
			names[name]++
		}
	}
	return names
}

func (o *serverOracle) address() *clusterAddress {
	for _, a := range o.server.c.addresses {
		if a.server() == o.server {
			return a
		}
	}
	return nil
}

// answered records an answer that the server is about to read. If it was sent
// long ago and brings a name back, the client has not ended as far as anyone
// knows.
func (o *serverOracle) answered(answer clusterAnswer) {
	r, l := answer.from, answer.from.link.client
	if answer.leaves {
		o.goneBy(l.name, 0)
		return
	}
	names := o.announced()
	if a := o.address(); a != nil && len(names) == 0 {
		o.resumed = a.clock(o.server.c)
	}
	if names[l.name] == 0 {
		r.link.watch.announced()
	}
	switch {
	case l.end != clusterLives:
		if !slices.Contains(o.server.list, l.name) {
			o.server.c.oracle.died(l)
		}
	case !r.end.closed:
		r.link.watch.answered()
	}
}

// published checks the new list of the server.
func (o *serverOracle) published(list []string) {
	c, a := o.server.c, o.address()
	if a == nil {
		return
	}
	removed, added := wire.Compare(o.server.list, list)
	c.log("%s: -%v +%v", o.server.process.host.name, removed, added)
	for _, l := range c.living() {
		if _, is := slices.BinarySearch(added, l.name); is {
			l.at(a).watch.comes(c.now)
		}
		if _, is := slices.BinarySearch(removed, l.name); !is {
			continue
		}
		w := &l.at(a).watch
		w.goes(c.now)
		if why := w.unjustified(); why != "" {
			c.oracle.fail("the server loses %s: %s", l.name, why)
		}
	}
}

// greets records that a subscriber is told the list, in which living clients
// may be missing that have not come to this server yet.
func (o *serverOracle) greets() {
	c, a := o.server.c, o.address()
	if a == nil {
		return
	}
	for _, l := range c.living() {
		w := &l.at(a).watch
		if _, has := slices.BinarySearch(o.server.list, l.name); !has && w.unjustified() == "" {
			w.goes(c.now)
		}
	}
}

// recentEnds returns how many ends may count when the next one comes.
func (o *serverOracle) recentEnds() (n int) {
	for _, at := range o.ends {
		if o.server.process.host.clock()-at < 1100*time.Millisecond {
			n++
		}
	}
	return n
}

// ended records an end that the server is about to notice. If it is the only
// one, it is told soon, whatever has happened before. If nothing has arrived at
// the client, the server cannot tell whether the network to all has failed.
func (o *serverOracle) ended(r *clusterSession) {
	name := r.link.client.name
	if !o.server.plan.Announces(r, name) || o.announced()[name] > 1 {
		return
	}
	r.link.watch.timedOut = r.end.timedOut
	c, now := o.server.c, o.server.process.host.clock()
	c.oracle.ends = append(c.oracle.ends, c.now)
	o.ends = append(o.ends, now)
	only := len(o.ends) == 1 || now-o.ends[len(o.ends)-2] > 1100*time.Millisecond
	if !only || r.end.timedOut || now-o.stopped < 1100*time.Millisecond || !slices.Contains(o.server.list, name) {
		return
	}
	count := len(o.ends)
	o.server.process.after(15*time.Millisecond, func() {
		if len(o.ends) == count {
			o.goneBy(name, 10*time.Millisecond)
		}
	})
}

// goneBy checks that a name that nobody announces is gone after a time.
func (o *serverOracle) goneBy(name string, d time.Duration) {
	s, count, began := o.server, len(o.ends), o.server.c.now
	d += 5*time.Millisecond + 4*s.c.loopTime
	s.process.after(d, func() {
		late := s.c.now-began > d+time.Millisecond // it was stopped
		if o.announced()[name] == 0 && len(o.ends) == count && !late && slices.Contains(s.list, name) {
			s.c.oracle.fail("the server has %s, which has left alone", name)
		}
	})
}
