//go:build linux

package faults

import (
	"fmt"
	"testing"
	"time"
)

const (
	atOnce = 100 * time.Millisecond // what is promised at once takes less than this on a machine that is not busy
	redial = time.Second            // the longest pause before a redial

	// A subscriber disconnects a silent server after three pauses of its.
	silence = 3
)

// With one server the others must be back before its first list: that is what the default is long enough for.
func restartTiming(servers int) timing {
	if servers == 1 {
		return defaults
	}
	return quick
}

// A server is killed and stays away: the others see what changes.
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

func TestServerRestarted(t *testing.T) { testServerRestarted(t, 0) }

func TestServerRestartedLate(t *testing.T) {
	long(t)
	testServerRestarted(t, 30*time.Second)
}

// A server is killed and started again. A client dies meanwhile.
func testServerRestarted(t *testing.T, pause time.Duration) {
	withServers(t, []int{1, 2, 3}, func(t *testing.T, n int) {
		timing := restartTiming(n)
		w := newWorld(t, n, timing)
		killed := w.kill(w.servers[0])
		victim := w.single(0)
		died := w.kill(victim)
		if n > 1 {
			w.awaitNames(died, atOnce)
			w.declare(dead, victim.order.Clients, w.sides...)
		}
		time.Sleep(time.Until(killed.Add(pause)))
		_, started := w.revive(w.servers[0])
		promise := "nobody seems gone; heard again after redial and a PollTime"
		heard := w.awaitServers(started)
		var measured []string
		if n == 1 {
			measured = append(measured, after("dead one gone", w.awaitNames(started, redial+timing.PollTime)))
		}
		measured = append(measured, after("all hear it and it lists all", heard))
		w.finish(fmt.Sprintf("server restarted after %v", pause), promise, measured...)
	})
}

func TestServerStopped(t *testing.T) { testServerStopped(t, 3*time.Second) }

func TestServerStoppedLong(t *testing.T) {
	long(t)
	testServerStopped(t, 30*time.Second)
}

// A server hangs with its connections open, and goes on later. A client dies meanwhile.
func testServerStopped(t *testing.T, pause time.Duration) {
	withServers(t, []int{1, 2, 3}, func(t *testing.T, n int) {
		w := newWorld(t, n, quick)
		w.awaitRepeats()
		stopped := w.stop(w.servers[0])
		victim := w.single(0)
		died := w.kill(victim)
		bound := silence * w.timing.PollTime
		var measured []string
		if n > 1 {
			measured = append(measured, after("dead one gone", w.awaitNames(died, bound)))
			w.declare(dead, victim.order.Clients, w.sides...)
		}
		time.Sleep(time.Until(stopped.Add(pause)))
		// Its last list is from before the stop. Who connects at once may be sent it before it has noticed what has happened since.
		w.tolerateReturns(t)
		resumed := w.resume(w.servers[0])
		gone := w.awaitNames(resumed, redial)
		if n == 1 {
			measured = append(measured, after("dead one gone after the stop", gone))
		}
		measured = append(measured, after("all hear it and it lists all", w.awaitServers(resumed)))
		w.awaitNames(resumed, redial)
		if n > 1 {
			measured = append(measured, fmt.Sprintf("dead one back for a moment in %d lists", w.returns()))
		}
		w.finish(fmt.Sprintf("server stopped for %v", pause), fmt.Sprintf("nobody seems gone; dead gone within %v", bound), measured...)
	})
}
