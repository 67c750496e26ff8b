//go:build linux

package faults

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

const (
	// What is promised at once takes less than this on an idle machine.
	atOnce = 100 * time.Millisecond
	redial = time.Second // the longest pause before a redial

	// silence is how many beats a server misses before it no longer counts
	// while another one speaks. A beat is a PollTime.
	silence = 3

	// lost is how long a connection may be silent before it is given up.
	lost = 30 * time.Second
)

// A server is killed and stays away. The other servers see what changes.
func TestServerKilled(t *testing.T) {
	withServers(t, []int{2, 3}, func(t *testing.T, n int) {
		w := newWorld(t, n, quick)
		w.kill(w.servers[0])
		victim := w.single(0)
		left := w.awaitNames(w.kill(victim), atOnce)
		w.declare(dead, victim.order.Clients, w.sides...)
		w.declare(unsure, victim.order.Clients, w.sides...)
		_, started := w.revive(victim)
		joined := w.awaitNames(started, redial)
		w.finish("server killed", "others see changes at once", after("leave", left), after("process starts and joins", joined))
	})
}

func TestServerRestarted(t *testing.T) {
	testServerRestarted(t, 0)
}

func TestServerRestartedLate(t *testing.T) {
	long(t)
	testServerRestarted(t, 15*time.Second)
}

// A server is killed and started again, at first while nothing changes: then no
// one is told anything. The second time, a client dies meanwhile.
func testServerRestarted(t *testing.T, pause time.Duration) {
	withServers(t, []int{1, 2, 3}, func(t *testing.T, n int) {
		w := newWorld(t, n, quick)
		w.expectQuiet()
		w.kill(w.servers[0])
		_, started := w.revive(w.servers[0])
		listed := w.awaitServers(started)
		w.checkTime("the server listed all", listed, redial)
		w.checkQuiet(t, time.Now())

		killed := w.kill(w.servers[0])
		victim := w.single(0)
		died := w.kill(victim)
		if n > 1 {
			w.awaitNames(died, atOnce)
			w.declare(dead, victim.order.Clients, w.sides...)
		}
		time.Sleep(time.Until(killed.Add(pause)))
		_, started = w.revive(w.servers[0])
		measured := []string{after("it lists all", listed)}
		if n == 1 {
			// The subscribers are told when the dead one has had time to
			// return.
			measured = append(measured, after("dead one gone", w.awaitNames(started, redial+w.timing.returnTime())))
		}
		w.awaitServers(started)
		w.finish(fmt.Sprintf("server restarted after %v", pause),
			"no false leave, no list without a change; all listed again after a redial", measured...)
	})
}

// A server is down for longer than PollTime, however short that is. Its clients
// are back within the time to return, so no one is told anything.
func TestServerDownForLong(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ poll, pause time.Duration }{
		{500 * time.Millisecond, 3 * time.Second},
		{100 * time.Millisecond, 100 * time.Millisecond},
	} {
		t.Run(fmt.Sprintf("poll=%v", test.poll), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, timing{PollTime: test.poll, SurveyTime: time.Second})
			all := names("client", 50)
			crowd := s.launch("crowd", s.peers(order{Clients: all, Subscribers: 5}))
			s.await(t, all, patience, nil)
			s.declare(alive, all, nil)
			s.settle(all, crowd)
			killed := time.Now()
			started := s.restart(test.pause)
			listed := s.awaitListedWithin(all, started, redial)
			s.settle(all, crowd)
			s.checkToldNothing(killed)
			s.finish(fmt.Sprintf("server down for %v, PollTime %v", test.pause, test.poll), "no list", after("it lists all", listed))
		})
	}
}

// All servers are restarted at once, with many clients. Nothing changes, so no
// one is told anything.
func TestAllServersRestarted(t *testing.T) {
	long(t)
	withServers(t, []int{1, 2, 3}, func(t *testing.T, n int) {
		w := newWorld(t, n, quick)
		const more = 100
		for i := range 2 {
			w.clients = append(w.clients, w.launchClients(names(fmt.Sprint("more-", i), more), nil))
		}
		came := time.Now()
		w.await(t, w.names, 2*patience, w.sides...)
		w.awaitServers(came)
		w.declare(alive, w.names, w.sides...)
		w.counts = w.count()
		w.expectQuiet()
		for _, p := range w.servers {
			w.kill(p)
		}
		var started time.Time
		for _, p := range w.servers {
			_, started = w.revive(p)
		}
		listed := w.awaitServers(started)
		w.checkTime("the servers listed all", listed, w.timing.returnTime())
		w.checkQuiet(t, time.Now())
		w.finish(fmt.Sprintf("all servers restarted, %d clients", len(w.names)),
			"no false leave, no list; all listed again within the time to return", after("they list all", listed))
	})
}

func TestServerStopped(t *testing.T) { testServerStopped(t, 3*time.Second) }

// Within this time the subscribers give up the connection.
func TestServerStoppedLong(t *testing.T) {
	long(t)
	testServerStopped(t, lost+2*time.Second)
}

// A server hangs with its connections open, and goes on later. A client dies
// meanwhile.
func testServerStopped(t *testing.T, pause time.Duration) {
	withServers(t, []int{1, 2, 3}, func(t *testing.T, n int) {
		w := newWorld(t, n, quick)
		stopped := w.stop(w.servers[0])
		victim := w.single(0)
		died := w.kill(victim)
		bound := silence * w.timing.PollTime
		var measured []string
		if n > 1 {
			within := bound
			if testmain.IsRace() || runtime.GOMAXPROCS(0) == 1 {
				// A reader that the machine itself has stopped, as it does to
				// slow ones, bars no name, and the stopped server's list counts
				// for it until its grace ends.
				within += grace
			}
			measured = append(measured, after("dead one gone", w.awaitNames(died, within)))
			w.declare(dead, victim.order.Clients, w.sides...)
		}
		w.expectQuiet()
		time.Sleep(time.Until(stopped.Add(pause)))
		resumed := w.resume(w.servers[0])
		w.checkQuiet(t, resumed)
		// The server may have caused the end itself.
		gone := w.awaitNames(resumed, w.timing.returnTime())
		if n == 1 {
			measured = append(measured, after("dead one gone after the stop", gone))
		}
		measured = append(measured, after("all hear it and it lists all", w.awaitServers(resumed)))
		w.await(t, w.names, margin, w.sides...)
		w.finish(fmt.Sprintf("server stopped for %v", pause),
			fmt.Sprintf("no false leave, no dead one comes back; dead gone within %v", bound), measured...)
	})
}

// A server hangs as soon as it has sent something to all. Its silence is
// noticed although it has only just started, and its connections stay open.
// With only one server, the list stands.
func TestServerHangsAfterItsFirstMessage(t *testing.T) {
	withServers(t, []int{1, 2}, func(t *testing.T, n int) {
		w := newWorld(t, n, quick)
		w.expectQuiet()
		w.kill(w.servers[0])
		server, started := w.revive(w.servers[0])
		w.awaitServers(started)
		stopped := w.stop(server)
		w.checkQuiet(t, stopped)
		victim := w.single(0)
		bound := silence * w.timing.PollTime
		measured := "the list stands"
		died := w.kill(victim)
		if n > 1 {
			measured = after("dead one gone", w.awaitNames(died, bound))
			w.declare(dead, victim.order.Clients, w.sides...)
		}
		w.expectQuiet()
		time.Sleep(time.Until(stopped.Add(bound + time.Second)))
		for _, p := range append(w.clients[:crowds:crowds], w.watcher) {
			if p.state().Heard.IsZero() {
				t.Errorf("%s is not connected to the server that hangs", p.id)
			}
		}
		resumed := w.resume(server)
		w.checkQuiet(t, resumed)
		w.awaitNames(resumed, w.timing.returnTime())
		heard := w.awaitServers(resumed)
		w.finish("server hangs after its first message", fmt.Sprintf("dead gone within %v, connections stand", bound),
			measured, after("goes on, and lists all", heard))
	})
}
