package gopherdiscovery_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// A new town sees itself as soon as each client has been asked once, long
// before the list is complete.
func TestColdStart(t *testing.T) {
	const (
		batch = 20 * time.Millisecond  // JoinInterval
		retry = 100 * time.Millisecond // the longest first pause of a dialer
	)
	names := []string{"a", "b", "c", "d", "e"}
	for _, test := range []struct {
		name    string
		servers []time.Duration // when each starts
		within  time.Duration   // until all have the list of all
	}{
		{"server first", []time.Duration{0}, batch},
		{"clients first", []time.Duration{time.Millisecond}, retry + batch},
		{"two servers first", []time.Duration{0, 0}, batch},
		{"two servers, one of them last", []time.Duration{0, 50 * time.Millisecond}, batch},
		{"two servers, both last", []time.Duration{50 * time.Millisecond, time.Millisecond}, retry + batch},
	} {
		t.Run(test.name, func(t *testing.T) {
			gopherdiscovery.FakeTime(t, func(t *testing.T) {
				w := newTown(t)
				var numbers []int
				for n, at := range test.servers {
					numbers = append(numbers, n)
					if at == 0 {
						w.server(n)
					}
				}
				var records []*record
				var clients []*gopherdiscovery.DiscoveryClient
				for _, name := range names {
					clients = append(clients, w.peer(name, numbers...))
					lists, _ := clients[len(clients)-1].Peers()
					records = append(records, newRecord(lists))
				}
				for n, at := range test.servers {
					if at > 0 {
						time.AfterFunc(at, func() { w.server(n) })
					}
				}
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				for i, r := range records {
					r.expectAllWithin(t, names[i], test.within, strings.Join(names, " "))
				}
				for _, c := range clients {
					for n, s := range c.Servers() {
						if !s.Connected || !s.Complete {
							t.Errorf("server %d: got %+v, want it connected and complete", n, s)
						}
					}
				}
			})
		})
	}
}

// expectAllWithin checks that the last list came in time, and that the lists
// before it had fewer names.
func (r *record) expectAllWithin(t *testing.T, name string, within time.Duration, want string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.got) == 0 {
		t.Errorf("%s: got no list, want %q", name, want)
		return
	}
	last := r.got[len(r.got)-1]
	if last.list != want || last.at > within {
		t.Errorf("%s: delivered %v, want %q within %v", name, r.got, want, within)
	}
	growing := slices.IsSortedFunc(r.got, func(a, b delivered) int { return len(a.list) - len(b.list) })
	if !growing {
		t.Errorf("%s: delivered %v, want each list to have more names", name, r.got)
	}
}

// The first names are delivered at once. The list is known to be complete once
// all clients have had PollTime to connect.
func TestListIsIncompleteAtFirst(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w := newTown(t)
		w.server(0)
		sub := w.subscriber("sub", 0)
		lists := newRecord(sub.Changes())
		expectState(t, sub, true, false)
		lists.expect(t)
		w.client("a", 0)
		lists.expect(t, delivered{0, "a"})
		for i := range 3 {
			w.client(fmt.Sprint("b", i), 0)
		}
		time.Sleep(20*time.Millisecond - 1)
		lists.expect(t)
		time.Sleep(1 * time.Nanosecond)
		lists.expect(t, delivered{20 * time.Millisecond, "a b0 b1 b2"})

		time.Sleep(1980*time.Millisecond - 1)
		expectState(t, sub, true, false)
		time.Sleep(1 * time.Nanosecond)
		expectState(t, sub, true, true)
		time.Sleep(10 * time.Minute)
		lists.expect(t)
		if kinds, _ := w.lastTo("sub", 0); [4]byte(kinds) != [4]byte{welcome, list, list, beat} {
			t.Errorf("the server sent messages of kinds %v, want WELCOME, LIST, LIST, BEAT", kinds[:4])
		}
	})
}

// An empty list is delivered only once the list is complete.
func TestEmptyTown(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w := newTown(t)
		w.server(0)
		lists := newRecord(w.subscriber("sub", 0).Changes())
		time.Sleep(2*time.Second - 1)
		lists.expect(t)
		time.Sleep(1 * time.Nanosecond)
		lists.expect(t, delivered{2 * time.Second, ""})
	})
}
