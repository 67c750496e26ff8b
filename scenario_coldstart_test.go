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

// A new fakeCluster sees itself as soon as no more clients come in, long before the
// list is complete. The first list is whole.
func TestColdStart(t *testing.T) {
	const (
		batch  = 20 * time.Millisecond   // JoinInterval
		settle = 50 * time.Millisecond   // in which nothing comes in
		retry  = 100 * time.Millisecond  // the longest first pause of a dialer
		others = 1250 * time.Millisecond // in which others that waited may come
	)
	names := []string{"a", "b", "c", "d", "e"}
	for _, test := range []struct {
		name    string
		servers []time.Duration // when each starts
		within  time.Duration   // until all have the list of all
	}{
		{"server first", []time.Duration{0}, batch + settle},
		{"clients first", []time.Duration{time.Millisecond}, retry + others},
		{"two servers first", []time.Duration{0, 0}, batch + settle},
		{"two servers, one of them last", []time.Duration{0, 50 * time.Millisecond}, batch + settle},
		{"two servers, both last", []time.Duration{50 * time.Millisecond, time.Millisecond}, retry + others},
	} {
		t.Run(test.name, func(t *testing.T) {
			gopherdiscovery.FakeTime(t, func(t *testing.T) {
				w := newFakeCluster(t)
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
					if len(r.got) != 1 {
						t.Errorf("%s: delivered %v, want one list", names[i], r.got)
					}
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

// The first list has all names that have come by then, even if newcomers are so
// slow to answer that lists of joins are far apart.
func TestFirstListOfSlowNewcomers(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w := newFakeCluster(t)
		opt := bubbleOptions
		opt.Authorize = func(string, gopherdiscovery.Conn) error {
			time.Sleep(150 * time.Millisecond)
			return nil
		}
		startServerAt(t, w.URL(survey(0)), w.URL(lists(0)), opt)
		r := newRecord(w.subscriber("s", 0).Changes())
		w.client("a", 0)
		time.Sleep(100 * time.Millisecond)
		w.client("b", 0)
		time.Sleep(time.Second)
		r.expect(t, delivered{300 * time.Millisecond, "a b"})
	})
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

// The first list waits until no clients have come in for 50 ms. Then each change
// is delivered at once. The list is known to be complete once all clients have
// had time to connect.
func TestListIsIncompleteAtFirst(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w := newFakeCluster(t)
		w.server(0)
		sub := w.subscriber("sub", 0)
		lists := newRecord(sub.Changes())
		expectState(t, sub, true, false)
		w.client("a", 0)
		synctest.Wait()
		for i := range 3 {
			w.client(fmt.Sprint("b", i), 0) // they are asked 20 ms later
		}
		time.Sleep(70*time.Millisecond - 1)
		lists.expect(t)
		time.Sleep(1 * time.Nanosecond)
		lists.expect(t, delivered{70 * time.Millisecond, "a b0 b1 b2"})
		w.client("c", 0)
		lists.expect(t, delivered{70 * time.Millisecond, "a b0 b1 b2 c"})

		time.Sleep(1930*time.Millisecond - 1)
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
func TestEmptyCluster(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w := newFakeCluster(t)
		w.server(0)
		lists := newRecord(w.subscriber("sub", 0).Changes())
		time.Sleep(2*time.Second - 1)
		lists.expect(t)
		time.Sleep(1 * time.Nanosecond)
		lists.expect(t, delivered{2 * time.Second, ""})
	})
}
