//go:build linux

package faults

import (
	"fmt"
	"testing"
	"time"
)

func TestClientKilled(t *testing.T) {
	withServers(t, []int{1, 2, 3}, func(t *testing.T, n int) {
		w := newWorld(t, n, quick)
		victim := w.single(0)
		left := w.awaitNames(w.kill(victim), atOnce)
		_, started := w.revive(victim)
		joined := w.awaitNames(started, atOnce)
		w.awaitServers(started)
		w.finish("client killed", "gone at once", after("leave", left), after("process starts and joins", joined))
	})
}

// longestSilence is the longest time that a server waits for a client. It
// notices the end in a poll.
const longestSilence = 30*time.Second + pollEnd

const pollEnd = time.Second

// missed is how long a client is silent before it has missed its surveys: the
// pause during which it is stopped, and then each survey up to its deadline,
// with the pauses between them.
func (w *world) missed() time.Duration {
	return time.Duration(w.timing.MissedSurveys) * (w.timing.PollTime + w.timing.SurveyTime)
}

// A client hangs: its connections stay open, but it misses surveys.
func TestClientStopped(t *testing.T) {
	withServers(t, []int{1, 2, 3}, func(t *testing.T, n int) {
		w := newWorld(t, n, quick)
		victim := w.single(0)
		stopped := w.stop(victim)
		everyone := w.names
		w.lose(victim)
		missed := w.missed()
		left := w.awaitNames(stopped, longestSilence)
		resumed := w.resume(victim)
		w.names = everyone
		back := w.awaitNames(resumed, atOnce)
		w.finish("client stopped", fmt.Sprintf("gone within %v, or 64 times its slowest answer; back at once", missed), after("leave", left), after("back", back))
	})
}

// All clients are restarted, one process after the other. Every second one is
// killed.
func TestRollingRestart(t *testing.T) {
	withServers(t, []int{1, 2, 3}, func(t *testing.T, n int) {
		w := newWorld(t, n, quick)
		var left, joined time.Duration
		for i, p := range w.clients {
			end := w.leave
			if i%2 == 1 {
				end = w.kill
			}
			left = max(left, w.awaitNames(end(p), atOnce))
			w.declare(dead, p.order.Clients, w.sides...)
			w.declare(unsure, p.order.Clients, w.sides...)
			_, started := w.revive(p)
			joined = max(joined, w.awaitNames(started, atOnce))
			w.declare(alive, p.order.Clients, w.sides...)
			// The next reader's first list may come from any of them.
			w.awaitServers(time.Now())
		}
		w.finish("all clients restarted in turn", "others stay; leave and join at once",
			after("slowest leave", left), after("slowest process start and join", joined))
	})
}

// A process of subscribers hangs while the list changes.
func TestSubscriberStopped(t *testing.T) {
	testSlow(t, "subscriber stopped", (*world).stop, (*world).resume)
}

// No one takes lists out of the channels while they change.
func TestSubscriberDoesNotRead(t *testing.T) {
	testSlow(t, "subscriber does not read",
		func(w *world, p *process) time.Time {
			w.setAway(p, true)
			p.ask(askHold)
			return time.Now()
		},
		func(w *world, p *process) time.Time {
			now := time.Now()
			w.setAway(p, false)
			p.ask(askGo)
			return now
		})
}

func testSlow(t *testing.T, fault string, halt, proceed func(*world, *process) time.Time) {
	withServers(t, []int{1, 2, 3}, func(t *testing.T, n int) {
		w := newWorld(t, n, quick)
		halted := halt(w, w.watcher)
		gone := w.single(0)
		for i := range singles {
			p := w.single(i)
			w.awaitNames(w.kill(p), atOnce)
			if p != gone {
				_, started := w.revive(p)
				w.awaitNames(started, atOnce)
			}
		}
		time.Sleep(time.Until(halted.Add(2 * time.Second)))
		newest := w.awaitNames(proceed(w, w.watcher), atOnce)
		w.awaitServers(time.Now())
		w.finish(fault, "has the newest list at once when it goes on; others are not delayed", after("newest list", newest))
	})
}
