//go:build linux

package faults

import (
	"fmt"
	"testing"
	"time"
)

// reconnect is the longest time until a client is connected again to a server
// that can be reached again: an attempt begins just before that, and the next
// one follows it after the longest pause.
const reconnect = 2*time.Second + redial

// many is a number of clients that all subscribe.
var many = 200 / int(raceFactor)

// A server's machine fails. For a while nothing answers at its address, and
// then a new server does that has just started. No client has left meanwhile.
func TestFailOver(t *testing.T) {
	t.Parallel()
	pauses := []time.Duration{6 * time.Second}
	if isLong() {
		pauses = []time.Duration{13 * time.Second, 21 * time.Second, 30 * time.Second}
	}
	for _, pause := range pauses {
		t.Run(pause.String(), func(t *testing.T) {
			t.Parallel()
			net := newNetwork(t, 2)
			here, there := net.spaces[0], net.spaces[1]
			for _, s := range net.spaces {
				s.age(t)
			}
			s := newSiteAt(t, there.address, there, order{Timing: quick})
			all := names("client", many)
			crowd := s.launchIn("crowd", s.peers(order{Clients: all}), here)
			s.await(t, all, patience, here)
			s.declare(alive, all, here)
			s.settle(all, crowd)

			cut := net.cutOff(there)
			s.server.kill()
			time.Sleep(time.Until(cut.Add(pause)))
			s.start(there)
			mended := net.cutOff()
			known := s.awaitListedWithin(all, mended, reconnect)
			s.settle(all, crowd)
			s.checkToldNothing(cut)
			s.finish(fmt.Sprintf("server's address answers nothing for %v, then a new server, %d clients", pause, many),
				fmt.Sprintf("no list; all listed again within %v", reconnect), after("all listed", known))
		})
	}
}

// A server's address moves to another machine. Its server has just started, or
// has been complete for long with an empty list. Nothing tells the clients that
// their connections are dead, and those who subscribe get there first. None of
// the clients leaves.
func TestAddressMoves(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		standby bool // the other server is complete
	}{
		{"a new server", false},
		{"a standby", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			net := newNetwork(t, 4)
			near, far, first, second := net.spaces[0], net.spaces[1], net.spaces[2], net.spaces[3]
			net.float(t, first, second)
			net.moveTo(first)
			var standby *process
			// The route from the clients is longer. They need this time.
			s := newSiteAt(t, floating, second, order{Timing: timing{ReturnTime: 7 * time.Second}})
			if test.standby {
				s.awaitComplete()
				standby = s.server
			} else {
				s.server.end()
			}
			s.start(first)
			all := names("client", 10)
			crowd := s.launchIn("crowd", s.peers(order{Clients: all}), far)
			watcher := s.launchIn("watcher", s.peers(order{Subscribers: 10}), near)
			s.await(t, all, patience, near, far)
			s.declare(alive, all, near, far)
			s.settle(all, crowd, watcher)

			// The first server goes on, and may say what it likes.
			left := net.moveTo(nil)
			net.cutOff(far)
			if s.server = standby; standby == nil {
				s.start(second)
			}
			time.Sleep(time.Until(left.Add(300 * time.Millisecond)))
			moved := net.moveTo(second)
			// By now TCP has looked whether the server is there.
			time.Sleep(time.Until(moved.Add(firstProbe + 300*time.Millisecond)))
			mended := net.cutOff()
			known := s.awaitListedWithin(all, mended, reconnect)
			s.settle(all, crowd, watcher)
			s.checkToldNothing(left)
			s.finish("server's address moves to "+test.name, "no list", after("all listed", known))
		})
	}
}

// firstProbe is how long a connection is silent before TCP looks whether the
// other side is there.
const firstProbe = 3 * time.Second
