package gopherdiscovery_test

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// back is the longest time before a disconnected client is surveyed again: it
// pauses, dials, and is surveyed with the others of its batch.
const back = 100*time.Millisecond + 20*time.Millisecond

// crowded returns a fakeCluster in its tenth second. One server lists the clients a0
// to a9, and a subscriber has that list.
func crowded(t *testing.T) (w fakeCluster, clients []*gopherdiscovery.DiscoveryClient, lists *record) {
	t.Helper()
	return crowdedWith(t, bubbleOptions)
}

// crowdedWith is crowded with other options of the server.
func crowdedWith(t *testing.T, opt gopherdiscovery.Options) (w fakeCluster, clients []*gopherdiscovery.DiscoveryClient, lists *record) {
	t.Helper()
	w = newFakeCluster(t)
	startServerAt(t, w.URL(survey(0)), w.URL("lists0"), opt)
	lists = newRecord(w.subscriber("sub", 0).Changes())
	for i := range 10 {
		clients = append(clients, w.client(fmt.Sprint("a", i), 0))
	}
	time.Sleep(9 * time.Second)
	lists.forget()
	return w, clients, lists
}

// The server's network fails for a while. Clients that come back in time never
// leave the list. No subscriber is told anything, whether it kept its
// connection or lost it too.
func TestMassLossAndReturn(t *testing.T) {
	for _, test := range []struct {
		name string
		away time.Duration
		too  bool // the subscribers lose theirs
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
			for range 3 { // the server hears of it in varying order
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

// Most of the clients lose their connections, but not all.
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

// Clients that do not come back leave the list when ReturnTime is over, which is
// 2 s in these tests. One list tells of all of them. If no client at all is
// left, the path to all of them may be down, and ReturnTime begins 30 s later.
func TestMassLeaveIsSeenAfterReturnTime(t *testing.T) {
	for _, test := range []struct {
		name  string
		leave int
		at    time.Duration
		want  string
	}{
		{"most", 8, 11 * time.Second, "a8 a9"},
		{"all", 10, 41 * time.Second, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			gopherdiscovery.FakeTime(t, func(t *testing.T) {
				w, _, lists := crowded(t)
				for i := range test.leave {
					name := fmt.Sprint("survey0/a", i)
					w.Cut(name)
					w.Freeze(name) // it dials, and gets no further
				}
				time.Sleep(test.at - 9*time.Second - 1)
				lists.expect(t)
				time.Sleep(time.Nanosecond)
				lists.expect(t, delivered{test.at, test.want})
				time.Sleep(time.Minute)
				lists.expect(t)
			})
		})
	}
}

// Most clients come back in time, but one comes back when its leave has been
// published. It joins at once.
func TestOneIsBackLate(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t)
		w.Freeze("survey0/a3")
		w.Unplug("survey0")()
		// ReturnTime begins when the first client is back.
		time.Sleep(2*time.Second + back)
		lists.expectWithin(t, 11*time.Second, 11*time.Second+back, "a0 a1 a2 a4 a5 a6 a7 a8 a9")
		w.Thaw("survey0/a3")
		time.Sleep(5 * time.Second) // the time of a handshake
		lists.expectWithin(t, 11*time.Second, 17*time.Second, ten)
	})
}

// All clients come back, one after the other, when their leave has been
// published. One list has them all.
func TestAllAreBackLate(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t)
		plug := w.Unplug("survey0")
		time.Sleep(40 * time.Second)
		lists.expect(t, delivered{41 * time.Second, ""})
		plug()
		time.Sleep(10 * time.Minute)
		// The first one is back within a second, a client's longest pause.
		lists.mu.Lock()
		defer lists.mu.Unlock()
		if last := lists.got[len(lists.got)-1]; last.list != ten || last.at > 51*time.Second {
			t.Errorf("delivered %v, want %q within 2 s after 49 s", lists.got, ten)
		}
	})
}

// All clients lose their connections for 5 s, which is longer than PollTime and
// ReturnTime. The path was down, so none has left.
func TestPathIsDownForLongerThanReturnTime(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t)
		plug := w.Unplug("survey0")
		time.Sleep(29 * time.Second)
		plug()
		time.Sleep(10 * time.Minute)
		lists.expect(t)
		if kinds, _ := w.lastTo("sub", 0); bytes.Contains(kinds[2:], []byte{list}) || bytes.Contains(kinds, []byte{change}) {
			t.Errorf("the server has sent kinds %v, want only beats after the first list", kinds)
		}
	})
}

// Once all clients are back, the loss is forgotten. A client that then leaves
// and comes back causes a list at once each time.
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

// Newcomers are listed at once, whatever has happened to other clients.
func TestNewcomerAfterAMassLoss(t *testing.T) {
	for _, test := range []struct {
		name   string
		before func(w fakeCluster)
		known  string
	}{
		{"no loss", func(fakeCluster) {}, ten},
		{"one has left and come back", func(w fakeCluster) {
			w.Cut("survey0/a3")
			time.Sleep(back)
		}, ten},
		{"all have left and come back", func(w fakeCluster) {
			w.Unplug("survey0")()
			time.Sleep(2 * time.Second)
		}, ten},
		{"most are away", func(w fakeCluster) {
			for i := range 8 {
				name := fmt.Sprint("survey0/a", i)
				w.Cut(name)
				w.Freeze(name)
			}
			time.Sleep(2*time.Second - 1)
		}, ten},
		{"most have left", func(w fakeCluster) {
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

// expectWithin checks that exactly one list was delivered, and when.
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

// A plain subscriber does not say that it has a list. Even if it reconnects
// before the clients do, it is not told that they have left.
func TestMassLossAndPlainSubscribers(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, _ := crowded(t)
		lists := newRecord(w.plainSubscriber("plain", 0).Changes())
		lists.forget()
		w.Freeze("lists0/sub") // it would be back as well
		plug, plugLists := w.Unplug("survey0"), w.Unplug("lists0")
		time.Sleep(5 * time.Second)
		plugLists()
		time.Sleep(time.Second)
		plug()
		time.Sleep(3 * time.Minute)
		lists.expect(t)
	})
}
