//go:build linux

package faults

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

const (
	// endWait is how long a server waits for others after a client has been
	// killed.
	endWait = 20 * time.Millisecond
)

// busyKill is what a busy machine may add to the median of such leaves.
var busyKill = raceFactor * 250 * time.Millisecond

// Clients are killed, and others close, each alone. All subscribers see a kill
// after a moment, and a goodbye sooner.
func TestKillIsSeenAtOnce(t *testing.T) {
	// These are not parallel, because they measure.
	const victims = 9 // of each kind
	for _, clients := range []int{50, 1000} {
		t.Run(fmt.Sprintf("clients=%d", clients), func(t *testing.T) {
			s := newSite(t, defaults)
			var subscribers []string
			light := names("light", clients)
			if clients == 50 {
				subscribers, light = light, nil
			}
			light = light[:max(0, len(light)-2*victims)]
			crowd := s.launch("crowd", s.peers(order{Clients: subscribers, Announcers: light, Subscribers: 10}))
			watcher := s.launch("watcher", s.peers(order{Subscribers: 10}))
			all := slices.Concat(subscribers, light)
			var processes []*process
			for i := range 2 * victims {
				name := fmt.Sprintf("victim-%02d", i)
				all = append(all, name)
				processes = append(processes, s.launch("victim", s.peers(order{Announcers: []string{name}})))
			}
			s.await(t, all, 2*patience, nil)
			s.declare(alive, all, nil)
			s.settle(all, crowd, watcher)

			var kills, closes []time.Duration
			for i, p := range processes {
				all = slices.DeleteFunc(slices.Clone(all), func(name string) bool { return name == p.order.Announcers[0] })
				s.declare(unsure, p.order.Announcers, nil)
				now := time.Now()
				if i%2 == 0 {
					p.kill()
					kills = append(kills, s.awaitWithin(t, all, now, endWait, nil))
				} else {
					p.end()
					closes = append(closes, s.awaitWithin(t, all, now, 0, nil))
				}
			}
			slices.Sort(kills)
			slices.Sort(closes)
			kill, goodbye := kills[victims/2], closes[victims/2]
			if most := endWait + busyKill; kill > most {
				t.Errorf("half of the kills were seen after %v or later, want %v at most; all: %v", kill, most, kills)
			}
			if goodbye > busyKill {
				t.Errorf("half of the goodbyes were seen after %v or later, want %v at most; all: %v", goodbye, busyKill, closes)
			}
			if fastest := closes[0]; fastest >= endWait && fastest >= kills[0] {
				t.Errorf("no goodbye was seen within %v, want some sooner than kills: %v, %v", endWait, closes, kills)
			}
			s.finish(fmt.Sprintf("a client of %d killed, another closed", clients), fmt.Sprintf("gone after %v, and at once", endWait),
				fmt.Sprintf("median after %v and %v", kill.Round(time.Millisecond/10), goodbye.Round(time.Millisecond/10)))
		})
	}
}

// Most clients are killed together. They may come back, so they leave after the
// time to return. A client that is killed meanwhile does not wait for that.
func TestMostKilled(t *testing.T) {
	withServers(t, []int{1, 2}, func(t *testing.T, n int) {
		timing := quick
		timing.ReturnTime = 2*time.Second + margin // so long that all see the victim leave before
		w := newWorld(t, n, timing)
		killed := time.Now()
		before := w.names
		w.killTogether(w.clients[:crowds-1])
		most := w.names
		// The victim's end must not be one of those of the mass, which are
		// those within a second.
		w.eventually(func() (missing string) {
			for _, p := range w.servers {
				if clients := p.state().Clients; clients > len(most) {
					return fmt.Sprintf("%s has %d clients, want %d", p.id, clients, len(most))
				}
			}
			return ""
		})
		time.Sleep(1500 * time.Millisecond)
		victim := w.single(0)
		died := w.kill(victim)
		w.names = slices.DeleteFunc(slices.Clone(before), func(name string) bool { return slices.Contains(victim.order.Clients, name) })
		single := w.awaitNames(died, endWait)
		w.names = slices.DeleteFunc(slices.Clone(most), func(name string) bool { return slices.Contains(victim.order.Clients, name) })
		left := w.awaitNames(killed, timing.ReturnTime)
		if left < timing.ReturnTime {
			t.Errorf("those killed together left after %v, want %v", left, timing.ReturnTime)
		}
		w.finish(fmt.Sprintf("%d of %d clients killed together, then another", len(before)-len(most), len(before)),
			fmt.Sprintf("gone after %v; the other at once", timing.ReturnTime), after("gone", left), after("the other", single))
	})
}

// killTogether kills clients at the same time. On a busy machine they would
// wait for a processor to die, and the first ones would leave alone.
func (w *world) killTogether(clients []*process) {
	w.t.Helper()
	for _, p := range clients {
		p.hurry()
	}
	for _, p := range clients {
		w.lose(p)
		w.forget(p)
		p.killed = true
		p.signal(syscall.SIGKILL)
	}
	for _, p := range clients {
		<-p.done
	}
}

// All clients are killed together. Nobody can tell that from a network that has
// failed, so it takes long until they leave.
func TestAllKilled(t *testing.T) {
	long(t)
	withServers(t, []int{1, 2}, func(t *testing.T, n int) {
		w := newWorld(t, n, quick)
		w.expectQuiet()
		killed := time.Now()
		w.killTogether(w.clients)
		const outage = 30 * time.Second
		bound := outage + w.timing.returnTime()
		left := w.awaitNames(killed, bound)
		w.checkQuiet(t, killed.Add(bound))
		w.finish("all clients killed", fmt.Sprintf("no list, and the empty one after %v", bound), after("empty", left))
	})
}

// All clients close together. That is no failure, so they leave at once.
func TestAllClose(t *testing.T) {
	if testmain.IsRace() {
		t.Skip("a client does not wait for long until its goodbye is on its way")
	}
	withServers(t, []int{1, 2}, func(t *testing.T, n int) {
		w := newWorld(t, n, quick)
		told := time.Now()
		for _, p := range w.clients {
			w.lose(p)
			w.forget(p)
			_ = p.stdin.Close() // it ends
		}
		left := w.awaitNames(told, 0)
		for _, p := range w.clients {
			w.leave(p)
		}
		w.finish("all clients close", "the empty list at once", after("empty", left))
	})
}
