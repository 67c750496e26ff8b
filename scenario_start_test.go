package gopherdiscovery_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// firstListOptions are those with which the examples of 2015 must work.
var firstListOptions = map[string]gopherdiscovery.Options{
	"default options": {Logger: slog.New(slog.DiscardHandler)},
	"PollTime 20ms":   {PollTime: 20 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)},
}

// next returns the next list.
func next(t *testing.T, lists <-chan []string) []string {
	t.Helper()
	select {
	case list := <-lists:
		return list
	case <-time.After(patience):
		t.Fatal("got no list")
		return nil
	}
}

func expectNext(t *testing.T, lists <-chan []string, want ...string) {
	t.Helper()
	if got := next(t, lists); !slices.Equal(got, want) {
		t.Errorf("got list %q, want %q", got, want)
	}
}

// The README of 2015: the first list has all clients that were created in a
// row, and the next one those that are left.
func TestFirstListOfClients(t *testing.T) {
	for name, opt := range firstListOptions {
		t.Run(name, func(t *testing.T) {
			server := startServer(t, opt)
			_, peers := join(t, server, "client1")
			two, _ := join(t, server, "client2")
			join(t, server, "client3")
			expectNext(t, peers, "client1", "client2", "client3")
			two.Cancel()
			expectNext(t, peers, "client1", "client3")
		})
	}
}

// The other example of 2015: a subscriber that was there before the clients.
func TestFirstListOfASubscriber(t *testing.T) {
	for name, opt := range firstListOptions {
		t.Run(name, func(t *testing.T) {
			server := startServer(t, opt)
			lists := subscribe(t, server).Changes()
			announce(t, server, "client1")
			two := announce(t, server, "client2")
			expectNext(t, lists, "client1", "client2")
			two.Cancel()
			expectNext(t, lists, "client1")
		})
	}
}

// The order in which a program creates its parts makes no difference, even if
// the server comes last and the others have to wait for it.
func TestFirstListInAnyOrder(t *testing.T) {
	for name, opt := range firstListOptions {
		for _, order := range []string{
			"server subscriber client1 client2",
			"server client1 subscriber client2",
			"server client1 client2 subscriber",
			"subscriber server client1 client2",
			"subscriber client1 server client2",
			"client1 subscriber client2 server",
			"client1 client2 subscriber wait server",
			"subscriber client1 client2 wait server",
			"peer1 peer2 peer3 peer4 peer5 peer6 peer7 peer8 peer9 wait server",
		} {
			t.Run(name+"/"+order, func(t *testing.T) {
				t.Parallel()
				survey, pubsub := reserve(t), reserve(t)
				var all []<-chan []string
				var want []string
				for part := range strings.FieldsSeq(order) {
					switch strings.TrimRight(part, "0123456789") {
					case "server":
						startServerAt(t, survey, pubsub, opt)
					case "subscriber":
						all = append(all, subscribeTo(t, quiet, pubsub).Changes())
					case "client":
						want = append(want, part)
						announceAtURL(t, survey, part)
					case "peer":
						want = append(want, part)
						_, lists := joinAtURLs(t, survey, pubsub, part)
						all = append(all, lists)
					case "wait":
						// The pauses between attempts are long by now.
						time.Sleep(2 * time.Second)
					}
				}
				for _, lists := range all {
					expectNext(t, lists, want...)
				}
			})
		}
	}
}

// A new cluster sees itself as soon as no more clients come in, long before the
// list is complete. The first list lacks nobody.
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

// The first list waits until no clients have come in for 50 ms. Then each
// change is delivered at once. The list is known to be complete once all
// clients have had time to connect.
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

// shortBytes bounds the size of all messages to a subscriber that misses little
// or nothing.
const shortBytes = 64

// settled returns a fakeCluster in its tenth second, with clients a0 to a9 at
// two servers, and a subscriber that has their list.
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
