//go:build linux

package faults

import (
	"slices"
	"testing"
	"time"
)

const (
	// vanished is how long a subscription on which nothing arrives is kept.
	vanished = 30 * time.Second

	// doubt is how long a client with the default options trusts a connection
	// without surveys: three pauses, of which each may contain a survey that
	// others answer and the client does not.
	doubt = 9 * time.Second
)

// Something on the path keeps the connections of one client open, but has died.
// The client dials again, and so does its subscription.
func TestDeadFlow(t *testing.T) {
	long(t)
	t.Parallel()
	s := newSite(t, defaults)
	surveys, lists := newPath(t, s.order.Survey), newPath(t, s.order.PubSub)
	all := names("near", 10)
	crowd := s.launch("crowd", s.peers(order{Clients: all}))
	victim := s.launch("victim", order{Survey: surveys.url, PubSub: lists.url, Clients: []string{"victim"}})
	d := deadPath{site: s, near: crowd, victim: victim, others: all}
	d.test("dead flow that stays open", func() time.Time {
		lists.blackhole()
		return surveys.blackhole()
	})
}

// The packets of all connections of one client vanish, and new connections
// work.
func TestDeadTuples(t *testing.T) {
	t.Parallel()
	net := newNetwork(t, 3)
	there, near, far := net.spaces[0], net.spaces[1], net.spaces[2]
	s := newSiteAt(t, there.address, there, order{Timing: defaults})
	all := names("near", 10)
	crowd := s.launchIn("crowd", s.peers(order{Clients: all}), near)
	victim := s.launchIn("victim", s.peers(order{Clients: []string{"victim"}}), far)
	d := deadPath{site: s, near: crowd, victim: victim, others: all, ends: true}
	d.test("packets of one client's connections vanish", func() time.Time { return net.blackhole(far) })
}

// deadPath is a site with clients and one more client, whose path can die.
type deadPath struct {
	*site
	near, victim *process
	others       []string
	ends         bool // the server's system notices in the end
}

// test lets the path die. The client is listed again, or has never left, when
// it has doubted its connection and dialed again. Its subscription needs longer
// to notice.
func (d deadPath) test(fault string, die func() time.Time) {
	t, near, far := d.t, d.near.space, d.victim.space
	t.Helper()
	all := append(slices.Clone(d.others), "victim")
	d.await(t, all, patience, near, far)
	d.declare(alive, d.others, near, far)
	// The client has to learn how far apart its surveys are.
	for range 4 {
		d.settle(all, d.near, d.victim)
	}

	died := die()
	const bound = doubt + redial
	d.eventually(func() string {
		// It takes no other connection before it doubts this one, and closes
		// this one when the other has been surveyed.
		if clients := d.server.state().Clients; clients == len(all) && time.Since(died) < bound {
			return "the client has not connected again"
		}
		return ""
	})
	again := time.Since(died)
	// The new connection is surveyed at once. Until it has answered, the client
	// may leave, because it is silent on the old one.
	time.Sleep(time.Second)
	back := d.awaitListedWithin(all, died, bound)
	d.declare(alive, all, near, far)

	// The subscription of the client hears of this on a new connection only.
	late := d.launchIn("late", d.peers(order{Clients: []string{"late"}}), near)
	all = append([]string{"late"}, all...)
	told := d.awaitWithin(t, all, died, vanished+redial, near, far)
	measured := []string{after("connected again", again), after("listed", back), after("its own list", told)}
	if d.ends && isLong() {
		// The end of the old connection is no leave.
		d.awaitConnections(len(all))
		measured = append(measured, after("the server has dropped the old connection", time.Since(died)))
	}
	d.settle(all, d.near, d.victim, late)
	d.finish(fault, "listed again within 9 s and a redial, its own list within 30 s and a redial", measured...)
}
