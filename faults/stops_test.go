//go:build linux

package faults

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// A server is restarted, and stopped when it has bound its addresses, while its
// clients wait to be accepted. No one is told anything.
func TestServerStoppedAtItsStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, quick)
	began := time.Now()
	w.kill(w.servers[0])
	server, _ := w.revive(w.servers[0])
	awaitBound(t, server.order.Survey)
	stopped := w.stop(server)
	time.Sleep(time.Until(stopped.Add(3 * time.Second)))
	resumed := w.resume(server)
	heard := w.awaitServers(resumed)
	w.mu.Lock()
	var told []string
	for id, r := range w.readers {
		if r.at.After(began) {
			told = append(told, fmt.Sprintf("%s: a list of %d names, %v after the restart", id, len(r.list), r.at.Sub(began)))
		}
	}
	w.mu.Unlock()
	if len(told) > 0 {
		t.Errorf("%d readers were told something, want none:\n%s", len(told), some(told))
	}
	w.finish("restarted server stopped for 3 s when it has bound its addresses", "no list", after("all hear it and it lists all", heard))
}

// awaitBound returns when a server accepts connections.
func awaitBound(t *testing.T, url string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Microsecond) {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "tcp://"))
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// A process of subscribers is stopped, and goes on. It must not take a healthy
// server for hung because of that. It still notices a server that hangs.
func TestStoppedSubscriberTakesNoServerForHung(t *testing.T) {
	t.Parallel()
	lasts := 6 * time.Second // 12 beats
	if isLong() {
		lasts = 20 * time.Second
	}
	w := newWorld(t, 2, quick)
	surveys := strings.Split(w.surveys, ",")
	// A name that only one server knows is missing in a list without that
	// server.
	only := launch(t, "only", order{Survey: surveys[0], PubSub: w.pubsubs, Clients: []string{"only"}}, nil, w.monitor)
	t.Cleanup(only.end)
	with := append(slices.Clone(w.names), "only")
	slices.Sort(with)
	w.await(t, with, patience, nil)

	for _, pause := range []time.Duration{time.Second, lasts} {
		// The first time, the process has only just begun to hear its servers.
		// Its first list comes from either server.
		w.declare(unsure, []string{"only"}, nil)
		late := launch(t, "late", order{PubSub: w.pubsubs, Subscribers: 3}, nil, w.monitor)
		t.Cleanup(late.end)
		w.await(t, with, patience, nil)
		w.declare(alive, []string{"only"}, nil)
		time.Sleep(500 * time.Millisecond) // since its first list
		for _, p := range []*process{late, w.watcher} {
			w.stop(p)
		}
		time.Sleep(pause)
		for _, p := range []*process{late, w.watcher} {
			w.resume(p)
		}
		// Within this time it would take them for hung. It bars no name for
		// them as long, from when the last of its subscribers runs again.
		time.Sleep(2 * silence * w.timing.PollTime)
		w.await(t, with, patience, nil)
		w.forget(late)
		late.end()
	}
	// A client that dies leaves when the server that hangs does not count any
	// more. The name that only this server knows stays for a while.
	bound := silence * w.timing.PollTime
	stopped := w.stop(w.servers[0])
	victim := w.single(0)
	w.kill(victim)
	with = slices.DeleteFunc(with, func(name string) bool { return slices.Contains(victim.order.Clients, name) })
	noticed := w.awaitWithin(t, with, stopped, bound, nil)
	if least := bound - w.timing.PollTime - w.timing.PollTime/4; noticed < least {
		t.Errorf("a server that hangs does not count after %v, want %v at least", noticed, least)
	}
	measured := []string{after("noticed", noticed)}
	if isLong() {
		time.Sleep(time.Until(stopped.Add(grace)))
		w.declare(unsure, []string{"only"}, nil)
		measured = append(measured, after("its own name gone", w.awaitNames(stopped, bound+grace)))
	}
	w.declare(unsure, []string{"only"}, nil)
	resumed := w.resume(w.servers[0])
	w.awaitWithin(t, with, resumed, w.timing.returnTime(), nil)
	w.forget(only)
	only.end()
	w.finish(fmt.Sprintf("subscribers stopped for %v", lasts), fmt.Sprintf("no server seems silent; one that hangs does within %v", bound), measured...)
}

// grace is how long the names of a server stay that has gone away.
const grace = 30 * time.Second

// One of two servers is stopped for a moment, and a client dies meanwhile. When
// the server goes on, no subscriber sees the dead client again, not even one
// that has connected in the meantime.
func TestServerStoppedBriefly(t *testing.T) {
	t.Parallel()
	rounds := 1
	if isLong() {
		rounds = 5
	}
	w := newWorld(t, 2, quick)
	longest := time.Duration(0)
	for range rounds {
		for _, pause := range []time.Duration{300, 550, 700, 800, 1200, 2000} {
			pause *= time.Millisecond
			stopped := w.stop(w.servers[0])
			victim := w.single(0)
			w.kill(victim)
			w.eventually(func() string {
				if slices.Equal(w.servers[1].state().Services, w.names) {
					return ""
				}
				return "the other server lists the dead one"
			})
			w.declare(dead, victim.order.Clients, w.sides...)
			late := launch(t, "late", order{PubSub: w.pubsubs, Subscribers: 3}, nil, w.monitor)
			time.Sleep(time.Until(stopped.Add(pause)))
			resumed := w.resume(w.servers[0])
			// The late ones have never heard that it left, and may be told by
			// the server that was stopped, until the client has had time to
			// return there.
			longest = max(longest, w.awaitNames(resumed, redial+w.timing.returnTime()))
			w.awaitServers(resumed)
			w.await(t, w.names, margin, w.sides...)
			w.forget(late)
			late.end()
			w.declare(unsure, victim.order.Clients, w.sides...)
			_, started := w.revive(victim)
			w.awaitNames(started, atOnce)
			w.awaitServers(started)
			w.declare(alive, victim.order.Clients, w.sides...)
		}
	}
	w.finish("server stopped for 0.3 to 2 s, a client dies", "the dead one does not come back", after("gone after the stop", longest))
}
