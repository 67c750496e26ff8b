//go:build linux

package faults

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// mended is how long all may need to be connected again when the network works
// again: TCP repeats what was lost after pauses that have grown.
const mended = 10 * time.Second

// namesOn returns the names of the clients on one side.
func (w *world) namesOn(side *space) []string {
	var names []string
	for _, p := range w.clients {
		if p.space == side {
			names = append(names, p.order.Clients...)
		}
	}
	slices.Sort(names)
	return names
}

// spread starts a world in namespaces. The servers and clients are dealt out to
// them in turn.
func spread(t *testing.T, servers int, spaces []*space, timing timing) *world {
	t.Helper()
	at := make([]*space, servers)
	for i := range at {
		at[i] = spaces[i%len(spaces)]
	}
	return settleIn(t, at, spaces, timing)
}

// settleIn starts a world in namespaces, with one server in each of the given
// ones.
func settleIn(t *testing.T, servers, clients []*space, timing timing) *world {
	t.Helper()
	addresses := make([]string, len(servers))
	for i, s := range servers {
		addresses[i] = s.address
	}
	return settle(t, addresses, servers, clients, timing)
}

// The network between two halves of six machines is cut, and restored before
// connections end. No one is told anything.
func TestSplit(t *testing.T) {
	const pause = 4 * time.Second
	withServers(t, []int{1, 2, 3}, func(t *testing.T, n int) {
		net := newNetwork(t, 6)
		here, there := net.spaces[:3], net.spaces[3:]
		servers := []*space{here[0], there[0], here[1]}[:n]
		w := settleIn(t, servers, net.spaces, quick)
		w.expectQuiet()
		cut := net.cutOff(there...)
		time.Sleep(time.Until(cut.Add(pause)))
		mended := net.cutOff()
		w.awaitServers(mended)
		w.checkQuiet(t, time.Now())
		w.finish(fmt.Sprintf("six machines split for %v", pause), "no false leave, no list", "none")
	})
}

// A server is cut off from all clients, and packets vanish. No one is told
// anything, not even subscribers beside the server. Connections end after 20
// seconds. If one half of the clients is cut off later than the other, so do
// their connections.
func TestServerCutOff(t *testing.T) {
	t.Parallel()
	type cut struct{ pause, later time.Duration }
	cuts := []cut{{5 * time.Second, 0}}
	if isLong() {
		cuts = append(cuts, cut{15 * time.Second, 0}, cut{25 * time.Second, 0}, cut{25 * time.Second, 600 * time.Millisecond})
	}
	for _, test := range cuts {
		what := fmt.Sprintf("server cut off for %v", test.pause)
		if test.later > 0 {
			what += fmt.Sprintf(", from half of the clients %v later", test.later)
		}
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			net := newNetwork(t, 3)
			there, here := net.spaces[2], net.spaces[:2]
			s := newSiteAt(t, there.address, there, order{Timing: quick})
			all := append(names("a", 30), names("b", 30)...)
			watcher := s.launchIn("watcher", s.peers(order{Subscribers: 5}), there)
			a := s.launchIn("a", s.peers(order{Clients: all[:30]}), here[0])
			b := s.launchIn("b", s.peers(order{Clients: all[30:]}), here[1])
			s.await(t, all, patience, net.spaces...)
			s.declare(alive, all, net.spaces...)
			s.settle(all, watcher, a, b)
			cut := net.cutOff(here[0])
			time.Sleep(test.later)
			net.cutOff(there)
			time.Sleep(time.Until(cut.Add(test.pause)))
			mended := net.cutOff()
			s.settle(all, watcher, a, b)
			heard := time.Since(mended)
			s.checkToldNothing(cut)
			s.finish(what, "no list", after("all hear it", heard))
		})
	}
}

// The network is cut for so long that connections end. A half with a server
// loses the other half, but no client of its own.
func TestSplitLong(t *testing.T) {
	long(t)
	const pause = lost + 5*time.Second // at least: connections end later
	withServers(t, []int{1, 2, 3}, func(t *testing.T, n int) {
		net := newNetwork(t, 2)
		w := spread(t, n, net.spaces, quick)
		here, there := net.spaces[0], net.spaces[1]
		w.declare(unsure, w.namesOn(there), here)
		w.declare(unsure, w.namesOn(here), there)
		if n == 1 {
			w.declare(unsure, w.namesOn(there), there) // there is no server
		}
		cut := net.cutOff(there)
		gone := w.await(t, w.namesOn(here), longestSilence+margin, here).Sub(cut)
		if n > 1 {
			gone = max(gone, w.await(t, w.namesOn(there), longestSilence+margin, there).Sub(cut))
		}
		time.Sleep(time.Until(cut.Add(pause)))
		restored := net.cutOff()
		again := w.awaitNames(restored, mended)
		servers := w.awaitServers(restored)
		w.finish(fmt.Sprintf("network split for %v", pause), "no false leave in a half; the other half leaves within 30 s",
			after("other half gone", gone), after("and back", again), after("all hear all servers", servers))
	})
}

// A client's machine vanishes. The servers are not told that its connections
// have ended.
func TestClientMachineVanishes(t *testing.T) {
	long(t)
	withServers(t, []int{1, 2, 3}, func(t *testing.T, n int) {
		net := newNetwork(t, 2)
		w := spread(t, n, net.spaces[:1], quick)
		w.sides = net.spaces
		victim := w.single(0)
		w.awaitNames(w.kill(victim), atOnce)
		victim.space = net.spaces[1]
		victim, started := w.revive(victim)
		w.awaitNames(started, atOnce)
		w.awaitServers(started)

		cut := net.cutOff(victim.space)
		w.kill(victim)
		missed := w.missed()
		left := w.awaitNames(cut, longestSilence)
		w.declare(dead, victim.order.Clients, w.sides...)
		ended := w.awaitConnections(cut, crowds*crowdSize+singles-1)
		w.declare(unsure, victim.order.Clients, w.sides...)
		net.cutOff()
		_, started = w.revive(victim)
		joined := w.awaitNames(started, atOnce)
		w.finish("client's machine vanishes", fmt.Sprintf("gone within %v, or 64 times its slowest answer; its connections within %v", missed, w.accepted()),
			after("leave", left), ended, after("back", joined))
	})
}

// awaitConnections returns when each server has the wanted number of
// connections from clients, and says how long that took.
func (w *world) awaitConnections(event time.Time, want int) string {
	w.t.Helper()
	for _, p := range w.servers {
		for p.state().Clients != want {
			if time.Since(event) > w.accepted()+slack {
				w.t.Errorf("%s still has %d connections of clients %v after one vanished, want %d",
					p.id, p.state().Clients, time.Since(event), want)
				return fmt.Sprintf("connections still there after %v", time.Since(event).Round(time.Second))
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return after("connections end", time.Since(event))
}

// accepted is how long after a cut the servers may keep a connection: the user
// timeout begins with the next survey.
func (w *world) accepted() time.Duration { return accepted + w.timing.PollTime + w.timing.SurveyTime }

// A server's machine vanishes, and is back later without its connections.
func TestServerMachineVanishes(t *testing.T) {
	long(t)
	withServers(t, []int{2, 3}, func(t *testing.T, n int) {
		net := newNetwork(t, 2)
		here, there := net.spaces[0], net.spaces[1]
		w := settleIn(t, append([]*space{there}, slices.Repeat([]*space{here}, n-1)...), net.spaces[:1], quick)
		cut := net.cutOff(there)
		w.kill(w.servers[0])
		victim := w.single(0)
		bound := silence * quick.PollTime
		left := w.awaitNames(w.kill(victim), bound)
		w.declare(dead, victim.order.Clients, w.sides...)
		time.Sleep(time.Until(cut.Add(doubtTime + 7*time.Second)))
		restored := net.cutOff()
		w.revive(w.servers[0])
		back := w.awaitServers(restored)
		w.finish("server's machine vanishes", fmt.Sprintf("no false leave; dead gone within %v", bound),
			after("dead one gone", left), after("all hear it and it lists all", back))
	})
}

// One packet in ten is lost. The others are slow and overtake each other. TCP
// then usually needs longer than a second for a survey and its answer, and now
// and then much longer. Servers learn to be patient, and no client leaves the
// list.
func TestBadNetwork(t *testing.T) {
	long(t)
	const loss, delay, jitter = 0.1, 200 * time.Millisecond, 50 * time.Millisecond
	withServers(t, []int{1, 2, 3}, func(t *testing.T, n int) {
		net := newNetwork(t, 2)
		w := spread(t, n, net.spaces, defaults)
		begin := net.degrade(loss, delay, jitter)
		time.Sleep(time.Until(begin.Add(20 * time.Second)))
		victim := w.single(1)
		left := w.awaitNames(w.kill(victim), longestSilence)
		_, started := w.revive(victim)
		joined := w.awaitNames(started, mended)
		time.Sleep(time.Until(begin.Add(40 * time.Second)))
		restored := net.degrade(0, 0, 0)
		w.awaitNames(restored, mended)
		back := w.awaitServers(restored)
		w.finish(fmt.Sprintf("%.0f %% of packets lost, delay %v ± %v", 100*loss, delay, jitter), "no false leave",
			after("leave", left), after("join", joined), after("all as before", back))
	})
}
