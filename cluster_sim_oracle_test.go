package gopherdiscovery

import (
	"fmt"
	"slices"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sp"
	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// clusterOracle knows what happens in a cluster, and says what the lists must
// and must not be.
type clusterOracle struct {
	c         *clusterSim
	failure   string
	calmSince time.Duration // since then no fault has an effect any more
	ends      []time.Duration
	births    []time.Duration
}

// fail records what is wrong first.
func (o *clusterOracle) fail(format string, args ...any) {
	if o.failure == "" {
		o.failure = fmt.Sprintf("at %.3f: ", o.c.now.Seconds()) + fmt.Sprintf(format, args...)
		o.c.log("FAILURE: %s", o.failure)
	}
}

// disturb records that a fault has an effect for a time, after which all lists
// are as they must be: the clients return, subscribers are held no longer.
func (o *clusterOracle) disturb(d time.Duration) {
	o.calmSince = max(o.calmSince, o.c.now+o.c.recovery(d))
}

func (c *clusterSim) recovery(d time.Duration) time.Duration {
	return d + c.slack() + c.herd() + c.options.ReturnTime + c.network()
}

// network returns how long a few messages one after the other may take.
func (c *clusterSim) network() time.Duration {
	d := 6*c.latency + 60*c.jitter + 2*c.react
	if c.loss > 0 {
		d += 20 * time.Second
	}
	return d
}

// slack returns how long a client may take to begin a handshake where nothing
// keeps it from that: it notices the end of its connection after the first
// probe, and its attempt to connect has to end before the next one begins.
// Where segments are lost there is no such time.
func (c *clusterSim) slack() time.Duration {
	if c.loss > 0 {
		return time.Hour
	}
	return sp.KeepAlive.Idle + 500*time.Millisecond + 6*c.latency + 20*c.jitter
}

// herd returns how long the handshakes of all take.
func (c *clusterSim) herd() time.Duration {
	d := time.Duration(len(c.living())+len(c.subscribers)) * c.handshakeCost
	if d > sp.HandshakeTime {
		d += 2 * sp.HandshakeTime
	}
	return d
}

// died records that a client has ended as far as anyone knows, and schedules the
// check that its name is gone.
func (o *clusterOracle) died(l *clusterClient) {
	how, ended := l.end, o.c.now
	if l.isTroubled() {
		how = clusterVanishes // nobody may notice
	}
	l.ended = ended
	for _, s := range o.c.subscribers {
		delete(s.gone, l.name)
	}
	o.calm(ended, func() time.Duration { return o.goneWithin(how) }, func(s *clusterSubscriber) {
		if s.has(l.name) && l.ended == ended {
			o.fail("%s has %s, which %s at %.3f", s.name, l.name, l.end, l.ended.Seconds())
		}
	})
}

// goneWithin returns how long a name may stay after the end of its client, if
// nothing else happens.
func (o *clusterOracle) goneWithin(end clusterEnding) time.Duration {
	c := o.c
	together := o.network() + 1200*time.Millisecond
	if c.servers > 1 { // one of them may have been away, or have its grace
		together += wire.BarTime + wire.GraceOfAway
	}
	if len(o.ends) > 0 { // perhaps a mass departure
		together += c.options.ReturnTime + c.herd() + 30*time.Second
	}
	poll := c.options.PollTime + c.options.SurveyTime + 500*time.Millisecond
	silence := poll + max(30*time.Second+poll, time.Duration(c.options.MissedSurveys)*poll) + c.network()
	switch end {
	case clusterLeaves:
		if c.servers == 1 {
			return c.network() + 50*time.Millisecond
		}
		return together
	case clusterKilled:
		return together
	}
	return max(silence, 25*time.Second+together)
}

func (o *clusterOracle) network() time.Duration { return o.c.network() + 10*o.c.loopTime }

// born schedules the check that a name is seen.
func (o *clusterOracle) born(l *clusterClient) {
	born := o.c.now
	o.births = append(o.births, born)
	within := func() time.Duration {
		d := o.network() + 2*o.c.options.JoinInterval + 50*time.Millisecond + o.c.herd()
		for _, other := range o.births {
			if other != born && other-born < time.Second && born-other < 2*time.Second {
				return d + time.Second // the pace of lists
			}
		}
		return d
	}
	o.calm(born, within, func(s *clusterSubscriber) {
		if l.end == clusterLives && !s.has(l.name) && !l.isExcused() {
			o.fail("%s lacks %s, which started at %.3f", s.name, l.name, born.Seconds())
		}
	})
}

// calm checks each subscriber when nothing has disturbed it for a time.
func (o *clusterOracle) calm(since time.Duration, within func() time.Duration, check func(*clusterSubscriber)) {
	for _, s := range o.c.subscribers {
		var look func()
		look = func() {
			at := max(since, o.calmSince, s.calmSince) + within()
			if o.c.now >= at {
				check(s)
				return
			}
			o.c.after(at-o.c.now, look)
		}
		look()
	}
}

// changed checks a new list of a subscriber, which comes from a message that
// was sent at a time, or from none if that is zero.
func (o *clusterOracle) changed(s *clusterSubscriber, removed, added []string, sent time.Duration) {
	told := sent // a subscriber that was stopped reads what is old
	if sent == 0 {
		told = o.c.now
	}
	for _, l := range o.c.clients {
		_, leaves := slices.BinarySearch(removed, l.name)
		_, joins := slices.BinarySearch(added, l.name)
		switch {
		case leaves && l.end == clusterLives:
			o.left(s, l, sent)
		case leaves && told > l.ended+2*time.Second+o.network():
			s.gone[l.name] = o.c.now
		case joins && s.returned(l.name, sent) && s.couldKnow(l.name):
			o.fail("%s has %s again, which %s at %.3f", s.name, l.name, l.end, l.ended.Seconds())
		}
	}
}

// left checks that a living client may leave a list. With several servers it
// may not if it is well at all of them.
func (o *clusterOracle) left(s *clusterSubscriber, l *clusterClient, sent time.Duration) {
	why := ""
	for _, link := range l.links {
		if sent > 0 && link.watch.wasMissing(sent) {
			return
		}
		if why = link.watch.unjustified(); why == "" {
			return
		}
	}
	o.fail("%s loses %s: %s", s.name, l.name, why)
}

// first checks the first list of a subscriber.
func (o *clusterOracle) first(s *clusterSubscriber, list []string) {
	starts := !slices.ContainsFunc(o.c.addresses, func(a *clusterAddress) bool {
		return a.server() == nil || o.c.now-a.server().started >= o.c.options.ReturnTime
	})
	if starts && len(list) == 0 {
		o.fail("%s is told that nobody is there, and the server has just started", s.name)
	}
}

// finish checks that after a long time of rest everyone knows everyone.
func (o *clusterOracle) finish() {
	want := []string{}
	for _, l := range o.c.living() {
		want = append(want, l.name)
	}
	slices.Sort(want)
	for _, s := range o.c.subscribers {
		if !slices.Equal(s.list, want) {
			o.fail("in the end %s has %v, want %v", s.name, s.list, want)
		}
	}
}
