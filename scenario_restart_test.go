package gopherdiscovery_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// shortBytes bounds the size of all messages to a subscriber that misses little
// or nothing.
const shortBytes = 64

// settled returns a fakeCluster in its tenth second, with clients a0 to a9 at two
// servers, and a subscriber that has their list.
func settled(t *testing.T) (w fakeCluster, servers []*gopherdiscovery.DiscoveryServer, lists *record) {
	t.Helper()
	w = newFakeCluster(t)
	servers = append(servers, w.server(0), w.server(1))
	lists = newRecord(w.subscriber("sub", 0, 1).Changes())
	for i := range 10 {
		w.client(fmt.Sprint("a", i), 0, 1)
	}
	time.Sleep(10 * time.Second)
	lists.forget()
	return w, servers, lists
}

const ten = "a0 a1 a2 a3 a4 a5 a6 a7 a8 a9"

// forget discards the lists delivered so far without checking them.
func (r *record) forget() {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = nil
}

// Servers restart one by one or all at once. No list is delivered, and none is
// sent, because the subscriber already has the list that the new server arrives
// at.
func TestRestartCostsAFewBytes(t *testing.T) {
	for _, test := range []struct {
		name  string
		which []int
		pause time.Duration
	}{
		{"one server at once", []int{0}, 0},
		{"one server after a minute", []int{1}, time.Minute},
		{"all servers at once", []int{0, 1}, 0},
		{"all servers after half a second", []int{0, 1}, time.Second / 2},
		{"all servers after an hour", []int{0, 1}, time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			gopherdiscovery.FakeTime(t, func(t *testing.T) {
				w, servers, lists := settled(t)
				for _, n := range test.which {
					servers[n].Close()
				}
				time.Sleep(test.pause)
				for _, n := range test.which {
					w.server(n)
				}
				time.Sleep(2 * time.Second)
				for _, n := range test.which {
					kinds, size := w.lastTo("sub", n)
					if kinds[0] != welcome || len(bytes.Trim(kinds[1:], string(rune(beat)))) > 0 || size > shortBytes {
						t.Errorf("server %d has sent kinds %v in %d bytes, want WELCOME and BEATs in at most %d", n, kinds, size, shortBytes)
					}
				}
				time.Sleep(10 * time.Minute)
				lists.expect(t)
			})
		})
	}
}

// Clients come and go while all servers are away. The first list afterwards
// comes when all have had time to come back.
func TestNamesChangeDuringARestart(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, servers, lists := settled(t)
		leaves := w.client("leaves", 0, 1)
		lists.expect(t, delivered{10 * time.Second, ten + " leaves"})
		for _, s := range servers {
			s.Close()
		}
		leaves.Close()
		w.client("joins", 0, 1)
		w.server(0)
		w.server(1)
		time.Sleep(2*time.Second - 1)
		lists.expect(t)
		time.Sleep(200 * time.Millisecond) // with the pause before it dials
		lists.mu.Lock()
		// Until both servers are heard, the old list of the other one counts.
		if got := lists.got; len(got) == 0 || got[0].at < 12*time.Second || got[len(got)-1].list != ten+" joins" {
			t.Errorf("delivered %v, want the new list after 12 s", got)
		}
		lists.mu.Unlock()
		lists.forget()
		time.Sleep(10 * time.Minute)
		lists.expect(t)
	})
}

// A subscriber that was away for a moment is sent what has changed in the
// meantime.
func TestReconnectCostsWhatChanged(t *testing.T) {
	for _, test := range []struct {
		name   string
		during func(w fakeCluster)
		kind   byte
		list   string
	}{
		{"nothing has changed", func(fakeCluster) {}, beat, ""},
		{"a join", func(w fakeCluster) { w.client("new", 0) }, change, ten + " new"},
		{"a join and a leave of the same", func(w fakeCluster) {
			c := w.client("new", 0)
			synctest.Wait()
			c.Close()
		}, beat, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			gopherdiscovery.FakeTime(t, func(t *testing.T) {
				w := newFakeCluster(t)
				w.server(0)
				lists := newRecord(w.subscriber("sub", 0).Changes())
				for i := range 10 {
					w.client(fmt.Sprint("a", i), 0)
				}
				time.Sleep(10 * time.Second)
				lists.forget()
				w.Cut("lists0/sub")
				time.Sleep(10 * time.Millisecond)
				test.during(w)
				// This is the longest pause before the subscriber dials.
				time.Sleep(100 * time.Millisecond)
				kinds, size := w.lastTo("sub", 0)
				if !bytes.Equal(kinds, []byte{welcome, test.kind}) || size > shortBytes {
					t.Errorf("the server has sent kinds %v in %d bytes, want WELCOME and %d in at most %d", kinds, size, test.kind, shortBytes)
				}
				lists.mu.Lock()
				defer lists.mu.Unlock()
				got := slices.Collect(func(yield func(string) bool) {
					for _, d := range lists.got {
						yield(d.list)
					}
				})
				if strings.Join(got, ",") != test.list {
					t.Errorf("delivered %v, want %q", lists.got, test.list)
				}
			})
		})
	}
}

// A subscriber that connects during a restart has no list to lose. It is told
// at once which clients are back, and that the list is not complete.
func TestNewSubscriberDuringARestart(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w := newFakeCluster(t)
		server := w.server(0)
		for i := range 10 {
			w.client(fmt.Sprint("a", i), 0)
		}
		time.Sleep(10 * time.Second)
		server.Close()
		w.server(0)
		sub := w.subscriber("new", 0)
		lists := newRecord(sub.Changes())
		// This is the longest pause of a client, JoinInterval, and the time in
		// which nothing comes in.
		time.Sleep(170 * time.Millisecond)
		lists.expectWithin(t, 0, 170*time.Millisecond, ten)
		time.Sleep(1830*time.Millisecond - 1)
		expectState(t, sub, true, false)
		time.Sleep(1 * time.Nanosecond)
		expectState(t, sub, true, true)
		lists.expect(t)
	})
}

// The names that an incomplete server knows are added to the list of a complete
// one. When the complete server goes away, its names stay for its grace.
func TestCompleteServerGoesAway(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w := newFakeCluster(t)
		complete := w.server(0)
		sub := w.subscriber("sub", 0, 1)
		lists := newRecord(sub.Changes())
		w.client("a", 0)
		time.Sleep(10 * time.Second)
		lists.expect(t, delivered{50 * time.Millisecond, "a"})
		w.server(1)
		time.Sleep(time.Second) // the longest pause of the subscriber
		w.client("b", 1)
		time.Sleep(50 * time.Millisecond)
		lists.expect(t, delivered{11050 * time.Millisecond, "a b"})
		complete.Close()
		time.Sleep(grace - 1)
		lists.expect(t)
		time.Sleep(1 * time.Nanosecond)
		lists.expect(t, delivered{11050*time.Millisecond + grace, "b"})
	})
}
