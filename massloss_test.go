package gopherdiscovery_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// The longest pauses of a client before it is listed again: it dials, and is
// asked with the others of its batch.
const back = 100*time.Millisecond + 20*time.Millisecond

// crowded returns a town in its tenth second, with one server that the clients
// a0 to a9 are listed at, and a subscriber.
func crowded(t *testing.T) (w town, clients []*gopherdiscovery.DiscoveryClient, lists *record) {
	t.Helper()
	w = newTown(t)
	w.server(0)
	lists = newRecord(w.subscriber("sub", 0).Changes())
	for i := range 10 {
		clients = append(clients, w.client(fmt.Sprint("a", i), 0))
	}
	time.Sleep(9 * time.Second)
	lists.forget()
	return w, clients, lists
}

// The server's network fails for a while. Those who come back never left: no
// subscriber is told anything, whether it kept its connection or lost it too.
func TestMassLossAndReturn(t *testing.T) {
	for _, test := range []struct {
		name string
		away time.Duration
		too  bool // the subscribers lose their connections
	}{
		{"clients, for a moment", 0, false},
		{"clients, for half a second", 500 * time.Millisecond, false},
		{"everyone, for a moment", 0, true},
		{"everyone, for a second", time.Second, true},
		{"everyone, for 5 seconds", 5 * time.Second, true},
		{"everyone, for a minute", time.Minute, true},
		{"everyone, for 9 minutes", 9 * time.Minute, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 3 { // the order in which the server hears of it differs
				gopherdiscovery.FakeTime(t, func(t *testing.T) {
					w, _, lists := crowded(t)
					another := newRecord(w.subscriber("another", 0).Changes())
					another.forget()
					plug := w.Unplug("survey0")
					plugLists := func() {}
					if test.too {
						plugLists = w.Unplug("lists0")
					}
					time.Sleep(test.away)
					plug()
					plugLists()
					time.Sleep(3 * time.Minute)
					lists.expect(t)
					another.expect(t)
				})
			}
		})
	}
}

// Only a part of the clients have lost their connections, but most.
func TestLossOfMost(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t)
		for i := range 6 {
			w.Cut(fmt.Sprint("survey0/a", i))
		}
		time.Sleep(10 * time.Minute)
		lists.expect(t)
	})
}

// Those who do not come back have left when PollTime is over. One list says
// so.
func TestMassLeaveIsSeenAfterPollTime(t *testing.T) {
	for _, test := range []struct {
		name  string
		leave int
		want  string
	}{
		{"most", 8, "a8 a9"},
		{"all", 10, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			gopherdiscovery.FakeTime(t, func(t *testing.T) {
				w, _, lists := crowded(t)
				for i := range test.leave {
					name := fmt.Sprint("survey0/a", i)
					w.Cut(name)
					w.Freeze(name) // it dials, and gets no further
				}
				time.Sleep(2*time.Second - 1)
				lists.expect(t)
				time.Sleep(time.Nanosecond)
				lists.expect(t, delivered{11 * time.Second, test.want})
				time.Sleep(time.Minute)
				lists.expect(t)
			})
		})
	}
}

// Most come back in time, and one when its leave has been told. It joins at
// once.
func TestOneIsBackLate(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t)
		w.Freeze("survey0/a3")
		w.Unplug("survey0")()
		time.Sleep(2 * time.Second)
		lists.expect(t, delivered{11 * time.Second, "a0 a1 a2 a4 a5 a6 a7 a8 a9"})
		w.Thaw("survey0/a3")
		time.Sleep(5 * time.Second) // the end of a handshake
		lists.expectWithin(t, 11*time.Second, 16*time.Second, ten)
	})
}

// All come back when their leave has been told, one after the other. One list
// has them all.
func TestAllAreBackLate(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t)
		plug := w.Unplug("survey0")
		time.Sleep(20 * time.Second)
		lists.expect(t, delivered{11 * time.Second, ""})
		plug()
		time.Sleep(10 * time.Minute)
		// The first is back within a second, the longest pause of a client.
		lists.expectWithin(t, 31*time.Second, 32*time.Second, ten)
	})
}

// Once all are back a loss is forgotten: one that leaves and comes back is told
// at once, twice.
func TestMassLossIsForgotten(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t)
		w.Unplug("survey0")()
		time.Sleep(11 * time.Second)
		w.Cut("survey0/a3")
		time.Sleep(gathered)
		lists.expect(t, delivered{20*time.Second + gathered, "a0 a1 a2 a4 a5 a6 a7 a8 a9"})
		time.Sleep(back)
		lists.expectWithin(t, 20*time.Second, 20*time.Second+back, ten)
	})
}

// Newcomers are listed at once, whatever has happened to others.
func TestNewcomerAfterAMassLoss(t *testing.T) {
	for _, test := range []struct {
		name   string
		before func(w town)
		known  string
	}{
		{"no loss", func(town) {}, ten},
		{"one has left and come back", func(w town) {
			w.Cut("survey0/a3")
			time.Sleep(back)
		}, ten},
		{"all have left and come back", func(w town) {
			w.Unplug("survey0")()
			time.Sleep(2 * time.Second)
		}, ten},
		{"most have left", func(w town) {
			for i := range 8 {
				name := fmt.Sprint("survey0/a", i)
				w.Cut(name)
				w.Freeze(name)
			}
			time.Sleep(2 * time.Second)
		}, "a8 a9"},
	} {
		t.Run(test.name, func(t *testing.T) {
			gopherdiscovery.FakeTime(t, func(t *testing.T) {
				w, _, lists := crowded(t)
				test.before(w)
				lists.forget()
				now := time.Since(lists.start)
				w.client("new", 0)
				lists.expect(t, delivered{now, test.known + " new"})
			})
		})
	}
}

// expectWithin checks that one list was delivered, and when.
func (r *record) expectWithin(t *testing.T, from, to time.Duration, want string) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.got) != 1 || r.got[0].list != want || r.got[0].at < from || r.got[0].at > to {
		t.Errorf("delivered %v, want one list, %q, between %v and %v", r.got, want, from, to)
	}
	r.got = nil
}

// A subscriber of whole lists does not say that it has one. If it is back before
// the clients it is not told that they have left.
func TestMassLossAndPlainSubscribers(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, _ := crowded(t)
		lists := newRecord(w.plainSubscriber("plain", 0).Changes())
		lists.forget()
		w.Freeze("lists0/sub") // which would be back as well
		plug, plugLists := w.Unplug("survey0"), w.Unplug("lists0")
		time.Sleep(5 * time.Second)
		plugLists()
		time.Sleep(time.Second)
		plug()
		time.Sleep(3 * time.Minute)
		lists.expect(t)
	})
}
