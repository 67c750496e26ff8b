package gopherdiscovery_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// With a PollTime of 2 s there is a beat every 2 s.
const (
	tooSilent = 6 * time.Second  // three beats
	givenUp   = 30 * time.Second // at least, and 10 beats
	grace     = 30 * time.Second // of the list of a server that has gone away
)

// Undisturbed, a subscriber says once which list it has, and hears a server
// every beat, whenever it connected.
func TestBeats(t *testing.T) {
	for _, came := range []time.Duration{0, 1500 * time.Millisecond, 5500 * time.Millisecond, 7500 * time.Millisecond} {
		t.Run(came.String(), func(t *testing.T) {
			gopherdiscovery.FakeTime(t, func(t *testing.T) {
				w := newFakeCluster(t)
				w.server(0)
				w.client("a", 0)
				time.Sleep(came)
				lists := newRecord(w.subscriber("sub", 0).Changes())
				time.Sleep(10 * time.Minute)
				first := time.Duration(0)
				if came == 0 {
					first = 50 * time.Millisecond // in which nothing comes in
				}
				lists.expect(t, delivered{first, "a"})
				conns := w.Conns("lists0/sub")
				if len(conns) != 1 {
					t.Fatalf("got %d connections, want 1", len(conns))
				}
				if up := conns[0].Up(); len(up) != 1 || up[0].Body != string([]byte{have}) {
					t.Errorf("the subscriber has said %q, want HAVE once", up)
				}
				heard := lists.start
				for _, m := range conns[0].Down() {
					if silence := m.At.Sub(heard); silence > 2*time.Second {
						t.Fatalf("silence for %v before %v, want at most 2s", silence, m.At.Sub(lists.start))
					}
					heard = m.At
				}
				if silence := time.Since(heard); silence > 2*time.Second {
					t.Errorf("silence for %v at the end, want at most 2s", silence)
				}
			})
		})
	}
}

// One of two servers falls silent. Three beats and its grace later the names
// that only it knows are gone, and they are back when it speaks.
func TestSilentServerDoesNotCount(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w := newFakeCluster(t)
		w.server(0)
		w.server(1)
		sub := w.subscriber("sub", 0, 1)
		lists := newRecord(sub.Changes())
		w.client("a", 0)
		w.client("b", 0, 1)
		time.Sleep(10 * time.Second) // a beat of its own
		lists.forget()
		w.Freeze("lists0")
		time.Sleep(tooSilent)
		w.client("c", 0)
		time.Sleep(grace - 1)
		lists.expect(t)
		time.Sleep(1 * time.Nanosecond)
		lists.expect(t, delivered{46 * time.Second, "b"})
		w.Thaw("lists0")
		time.Sleep(10 * time.Second) // to connect, and to be believed
		lists.expectWithin(t, 46*time.Second, 56*time.Second, "a b c")
	})
}

// A message that takes longer to arrive than a server may be silent is no
// silence.
func TestSlowMessageIsNoSilence(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w := newFakeCluster(t)
		w.server(0)
		w.server(1)
		lists := newRecord(w.subscriber("sub", 0, 1).Changes())
		w.client("a", 0)
		w.client("b", 0, 1)
		time.Sleep(10 * time.Second)
		lists.forget()
		w.Trickle("lists0/sub", time.Second)
		long := strings.Repeat("x", 100)
		w.client(long, 0)
		time.Sleep(3 * time.Minute)
		lists.expectWithin(t, 2*time.Minute, 3*time.Minute, "a b "+long)
		if got := len(w.Conns("lists0/sub")); got != 1 {
			t.Errorf("got %d connections to the server, want 1", got)
		}
	})
}

// A server that nobody has come to says nothing of its list until it is
// complete, which takes a minute here. Subscribers in both forms keep their
// connections.
func TestServerThatKnowsNobody(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w := newFakeCluster(t)
		opt := bubbleOptions
		opt.ReturnTime = time.Minute
		startServerAt(t, w.URL(survey(0)), w.URL(lists(0)), opt)
		start := time.Now()
		all := map[string]*gopherdiscovery.Subscriber{"changes": w.subscriber("changes", 0), "plain": w.plainSubscriber("plain", 0)}
		time.Sleep(2 * time.Minute)
		for name, sub := range all {
			select {
			case list := <-sub.Changes():
				if list == nil || len(list) > 0 {
					t.Errorf("%s: got the list %q, want an empty one", name, list)
				}
			default:
				t.Errorf("%s: got no list", name)
			}
			conns := w.Conns(lists(0) + "/" + name)
			if len(conns) != 1 {
				t.Errorf("%s: connected %d times, want once", name, len(conns))
			}
			for _, m := range conns[0].Down() {
				if m.At.Sub(start) < time.Minute && m.Body != "\x80" && m.Body[:1] != "\x01" {
					t.Errorf("%s: got %q after %v", name, m.Body, m.At.Sub(start))
				}
			}
		}
	})
}

// The list of a lone server stands, however long the server is silent. Its
// connection is given up, and the next one continues from there.
func TestSilentLoneServer(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w := newFakeCluster(t)
		w.server(0)
		sub := w.subscriber("sub", 0)
		lists := newRecord(sub.Changes())
		w.client("a", 0)
		time.Sleep(10 * time.Second)
		lists.expect(t, delivered{50 * time.Millisecond, "a"})
		w.Freeze("lists0")
		time.Sleep(givenUp - 1)
		expectState(t, sub, true, true)
		time.Sleep(1 * time.Nanosecond)
		expectState(t, sub, false, false)
		time.Sleep(time.Hour)
		lists.expect(t)
		w.Thaw("lists0")
		// This is its longest pause, or the handshake's timeout.
		time.Sleep(5 * time.Second)
		expectState(t, sub, true, true)
		time.Sleep(time.Hour)
		lists.expect(t)
		conns := w.Conns("lists0/sub")
		last := conns[len(conns)-1]
		if up := last.Up(); len(up) != 1 || len(up[0].Body) != 9 || up[0].Body[0] != have {
			t.Errorf("the subscriber has said %q, want HAVE with a sum", up)
		}
		if kinds, _ := w.lastTo("sub", 0); !bytes.HasPrefix(kinds, []byte{welcome, beat, beat}) || bytes.Contains(kinds, []byte{list}) {
			t.Errorf("the server has sent kinds %v, want WELCOME and then beats", kinds)
		}
	})
}

// A server may hang as soon as it has sent its first message. Another server
// then counts alone, at once or when the grace of the first one is over, and
// the connection is given up.
func TestServerHangsAfterItsFirstMessage(t *testing.T) {
	for _, test := range []struct {
		name    string
		clients []string // of the server that hangs
		said    []byte
		heard   time.Duration // when the server has spoken last
		want    []delivered
	}{
		{"WELCOME", nil, []byte{welcome}, 0, []delivered{{51 * time.Millisecond, "b"}}},
		{"LIST", []string{"a"}, []byte{welcome, list}, 50 * time.Millisecond, []delivered{{50 * time.Millisecond, "a"}, {51 * time.Millisecond, "a b"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			gopherdiscovery.FakeTime(t, func(t *testing.T) {
				w := newFakeCluster(t)
				w.server(0)
				w.server(1)
				sub := w.subscriber("sub", 0, 1)
				lists := newRecord(sub.Changes())
				for _, name := range test.clients {
					w.client(name, 0)
				}
				time.Sleep(time.Millisecond)
				w.client("b", 1)
				time.Sleep(59 * time.Millisecond)
				w.Freeze("lists0")
				time.Sleep(tooSilent + time.Second)
				lists.expect(t, test.want...)
				time.Sleep(test.heard + givenUp - tooSilent - time.Second - 60*time.Millisecond - 1)
				expectState(t, sub, true, false)
				time.Sleep(1 * time.Nanosecond)
				expectState(t, sub, false, false)
				lists.forget()
				time.Sleep(10 * time.Minute)
				if test.clients == nil {
					lists.expect(t)
				} else {
					lists.expect(t, delivered{50*time.Millisecond + tooSilent + grace, "b"})
				}
			})
		})
	}
}

// A server that has to wait long before its list is complete keeps sending
// beats to subscribers that have a list.
func TestBeatsOfAnIncompleteServer(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w := newFakeCluster(t)
		rare := bubbleOptions
		rare.PollTime, rare.ReturnTime = 30*time.Minute, 30*time.Minute
		server := startServerAt(t, w.URL(survey(0)), w.URL(lists(0)), rare)
		w.client("a", 0)
		sub := w.subscriber("sub", 0)
		lists0 := newRecord(sub.Changes())
		time.Sleep(time.Hour)
		lists0.forget()
		server.Close()
		startServerAt(t, w.URL(survey(0)), w.URL(lists(0)), rare)
		time.Sleep(29 * time.Minute)
		expectState(t, sub, true, false)
		if silence := time.Since(sub.Servers()[0].Heard); silence > time.Minute {
			t.Errorf("the server has been silent for %v, want a minute at most", silence)
		}
		if got := len(w.Conns("lists0/sub")); got != 2 {
			t.Errorf("got %d connections, want one for each server", got)
		}
		lists0.expect(t)
	})
}

// slowDown delays the traffic to and from a client by a while.
func (w fakeCluster) slowDown(name string, d time.Duration) {
	w.Freeze("survey0/" + name)
	time.Sleep(d)
	w.Thaw("survey0/" + name)
}

// Clients known to be slow stay on the list through a silence of 20 s, although
// the others are fast.
func TestSlowClientsStay(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t)
		w.slowDown("a3", 1500*time.Millisecond) // over the poll at 10 s
		chance := rand.New(rand.NewPCG(1, 2))
		for range 200 {
			time.Sleep(time.Duration(chance.Int64N(int64(20 * time.Second))))
			w.slowDown("a3", time.Duration(chance.Int64N(int64(20*time.Second))))
		}
		lists.expect(t)
		w.ExpectConns(t, "survey0/a3", len(w.Conns("survey0/a3")), 1)
	})
}

// A client that was dropped once because it was slow is given the time that it
// took.
func TestSlownessIsLearnedFromALeave(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		// The name leaves before its client doubts the server, at 14 s.
		opt := bubbleOptions
		opt.SurveyTime = 900 * time.Millisecond
		w, _, lists := crowdedWith(t, opt)
		w.Freeze("survey0/a3")
		time.Sleep(10*time.Second - 1)
		lists.expect(t, delivered{13800 * time.Millisecond, "a0 a1 a2 a4 a5 a6 a7 a8 a9"})
		time.Sleep(time.Nanosecond)
		w.Thaw("survey0/a3")
		time.Sleep(5 * time.Millisecond)
		lists.expectWithin(t, 19*time.Second, 19*time.Second+5*time.Millisecond, ten)
		for range 10 {
			time.Sleep(10 * time.Second)
			w.slowDown("a3", 20*time.Second)
		}
		lists.expect(t)
	})
}

// All clients are slow now and then, at different times. At most two of them
// are slow together, for which the server does not blame itself.
func TestSlowCrowdStays(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t)
		// Their first answers are slow too, as on a bad path.
		w.Freeze("survey0")
		time.Sleep(1500 * time.Millisecond)
		w.Thaw("survey0")
		synctest.Wait()
		done := make(chan struct{})
		for part := range 2 {
			chance := rand.New(rand.NewPCG(3, uint64(part)))
			go func() {
				for range 20 {
					for _, i := range chance.Perm(5) {
						name := fmt.Sprint("a", 5*part+i)
						w.slowDown(name, time.Duration(chance.Int64N(int64(20*time.Second))))
						// The next client may be the same one.
						time.Sleep(time.Millisecond)
					}
				}
				done <- struct{}{}
			}()
		}
		<-done
		<-done
		lists.expect(t)
	})
}

// A client that has always answered at once, and then hangs, leaves with the
// second survey that it misses. That others are slow does not help it.
func TestHealthyClientThatHangs(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t)
		w.slowDown("a5", 1500*time.Millisecond)
		time.Sleep(2*time.Second - 1) // the next poll but one is at 12.5 s
		w.Freeze("survey0/a3")
		// The polls last a second each, and are 2 s apart.
		time.Sleep(4*time.Second + 1)
		lists.expect(t, delivered{16500 * time.Millisecond, "a0 a1 a2 a4 a5 a6 a7 a8 a9"})
		w.Thaw("survey0/a3")
		lists.expect(t, delivered{16500 * time.Millisecond, ten})
	})
}

// Many clients fall silent together, for less than 30 s. No one leaves the
// list, neither during the silence nor after it. The clients doubt their
// connections, and keep one each.
func TestMassSilence(t *testing.T) {
	for _, test := range []struct {
		name   string
		silent int
		lasts  time.Duration
	}{
		{"three, 8 seconds", 3, 8 * time.Second},
		{"three, 28 seconds", 3, 28 * time.Second},
		{"most, 28 seconds", 8, 28 * time.Second},
		{"all, 8 seconds", 10, 8 * time.Second},
		{"all, 28 seconds", 10, 28 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 2 {
				gopherdiscovery.FakeTime(t, func(t *testing.T) {
					w, _, lists := crowded(t)
					for i := range test.silent {
						w.Freeze(fmt.Sprint("survey0/a", i))
					}
					time.Sleep(test.lasts)
					lists.expect(t)
					for i := range test.silent {
						w.Thaw(fmt.Sprint("survey0/a", i))
					}
					time.Sleep(10 * time.Minute)
					lists.expect(t)
					w.ExpectConns(t, "survey0/a0", len(w.Conns("survey0/a0")), 1)
				})
			}
		})
	}
}

// The server's doubt has a limit: clients that were silent for 30 s leave the
// list. The first poll without them is at 10 s.
func TestMassSilenceWithoutEnd(t *testing.T) {
	for _, test := range []struct {
		name   string
		silent int
		want   string
	}{
		{"three", 3, "a3 a4 a5 a6 a7 a8 a9"},
		{"all", 10, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			gopherdiscovery.FakeTime(t, func(t *testing.T) {
				w, _, lists := crowded(t)
				for i := range test.silent {
					w.Freeze(fmt.Sprint("survey0/a", i))
				}
				time.Sleep(10 * time.Minute)
				lists.expect(t, delivered{40 * time.Second, test.want})
			})
		})
	}
}

// A subscriber that does not read for a while costs nothing that grows with the
// number of changes. Then it is sent their net difference.
func TestSlowSubscriberIsSentTheDifference(t *testing.T) {
	const most = 1200 // bytes: what was on its way, and one message
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w := newFakeCluster(t)
		w.server(0)
		w.client("a", 0)
		changes, plain := w.subscriber("changes", 0), w.plainSubscriber("plain", 0)
		time.Sleep(3 * time.Second)
		w.Freeze("lists0")
		for i := range 100 {
			c := w.client(fmt.Sprintf("%s%d", strings.Repeat("x", 50), i), 0)
			time.Sleep(20 * time.Millisecond)
			c.Close()
		}
		w.client("b", 0)
		time.Sleep(20 * time.Millisecond)
		w.Thaw("lists0")
		synctest.Wait()
		for _, name := range []string{"changes", "plain"} {
			if _, size := w.lastTo(name, 0); size > most {
				t.Errorf("%s: got %d bytes, want at most %d", name, size, most)
			}
		}
		want := []string{"a", "b"}
		if got := changes.List(); !slices.Equal(got, want) {
			t.Errorf("in changes: got the list %v, want %v", got, want)
		}
		if got := plain.List(); !slices.Equal(got, want) {
			t.Errorf("plain: got the list %v, want %v", got, want)
		}
	})
}

// A client that is too busy to read its server's messages does not consider the
// server dead, and so does not burden it with another connection.
func TestBusyClientKeepsItsConnection(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t)
		w.StopReading("survey0")
		time.Sleep(25 * time.Second) // no longer, or it would leave the list
		w.Revive("survey0")
		time.Sleep(time.Minute)
		lists.expect(t)
		if got := len(w.Conns("survey0")); got != 10 {
			t.Errorf("got %d connections of 10 clients, want 10", got)
		}
	})
}

// A subscriber that is too busy to read a server's messages keeps that server's
// list, although another server is heard, and keeps the connection.
func TestBusySubscriberTakesNoServerForHung(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w := newFakeCluster(t)
		w.server(0)
		w.server(1)
		lists := newRecord(w.subscriber("sub", 0, 1).Changes())
		w.client("a", 0)
		w.client("b", 1)
		time.Sleep(10 * time.Second)
		lists.forget()
		w.StopReading("lists0/sub")
		time.Sleep(100 * time.Second)
		w.Revive("lists0/sub")
		time.Sleep(time.Minute)
		lists.expect(t)
		if got := len(w.Conns("lists0/sub")); got != 1 {
			t.Errorf("got %d connections to the server, want 1", got)
		}
		// A server that hangs is noticed as usual.
		w.Freeze("lists0")
		time.Sleep(tooSilent + grace)
		lists.expectWithin(t, 170*time.Second+4*time.Second+grace, 170*time.Second+tooSilent+grace, "b")
	})
}

// Many clients are slow. One that never was slow falls silent for as long, and
// stays on the list, because the overload may only now have reached it.
func TestFastClientAmongSlowOnesStays(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t)
		for _, name := range []string{"a1", "a2", "a3"} {
			w.slowDown(name, 10*time.Second)
		}
		time.Sleep(10 * time.Second)
		lists.forget()
		w.slowDown("a9", 20*time.Second)
		time.Sleep(10 * time.Second)
		lists.expect(t)
		w.Freeze("survey0/a9")
		time.Sleep(time.Minute)
		now := time.Since(lists.start)
		lists.expectWithin(t, now-30*time.Second, now-20*time.Second, "a0 a1 a2 a3 a4 a5 a6 a7 a8")
	})
}

// A server is restarted, and stopped when it surveys the first of its clients,
// while the others wait. When it goes on, they still have all their time. No
// subscriber that has a list is told anything, and one without a list is not
// told that the list is complete before it is.
func TestStallBeforeTheFirstList(t *testing.T) {
	for _, stall := range []time.Duration{time.Second, 3 * time.Second, 4500 * time.Millisecond} {
		t.Run(stall.String(), func(t *testing.T) {
			// The server hears of the clients in varying order.
			for range 10 {
				gopherdiscovery.FakeTime(t, func(t *testing.T) {
					w := newFakeCluster(t)
					server := w.server(0)
					lists := newRecord(w.subscriber("sub", 0).Changes())
					for i := range 10 {
						w.client(fmt.Sprint("a", i), 0)
					}
					time.Sleep(9 * time.Second)
					lists.forget()
					server.Close()
					synctest.Wait()
					for i := range 9 {
						w.Freeze(fmt.Sprint("survey0/a", i+1))
					}
					w.HaltSoon("survey0")
					w.server(0)
					sub := w.subscriber("new", 0)
					newcomer := newRecord(sub.Changes())
					time.Sleep(stall)
					w.Continue("survey0")
					// The first client has dialled within 100 ms.
					time.Sleep(2*time.Second - 101*time.Millisecond)
					expectState(t, sub, true, false)
					lists.expect(t)
					time.Sleep(101 * time.Millisecond)
					expectState(t, sub, true, true)
					newcomer.mu.Lock()
					if got := newcomer.got[len(newcomer.got)-1].list; got != ten {
						t.Errorf("a new subscriber has the list %q when it is complete, want %q", got, ten)
					}
					newcomer.mu.Unlock()
					time.Sleep(time.Minute)
					lists.expect(t)
				})
			}
		})
	}
}

// stopped returns a fakeCluster whose only server is stopped at its poll at 4
// s, and a subscriber that has the list of its clients a0 to a9.
func stopped(t *testing.T) (w fakeCluster, clients []*gopherdiscovery.DiscoveryClient, lists *record) {
	t.Helper()
	w = newFakeCluster(t)
	w.server(0)
	lists = newRecord(w.subscriber("sub", 0).Changes())
	for i := range 10 {
		clients = append(clients, w.client(fmt.Sprint("a", i), 0))
	}
	time.Sleep(3 * time.Second)
	lists.forget()
	for _, port := range []string{"survey0", "lists0"} {
		w.Halt(port)
	}
	return w, clients, lists
}

func (w fakeCluster) continueServer() {
	for _, port := range []string{"survey0", "lists0"} {
		w.Continue(port)
	}
}

// A client that lost its connection while the server was stopped, and has
// reconnected, never leaves the list.
func TestStopIsSeenByNoSubscriber(t *testing.T) {
	for _, test := range []struct {
		name string
		halt time.Duration
		cut  []string
	}{
		{"nothing happens", 20 * time.Second, nil},
		{"one client is connected anew", 4 * time.Second, []string{"survey0/a1"}},
		{"most clients are connected anew", 4 * time.Second, []string{"survey0/a1", "survey0/a2", "survey0/a3", "survey0/a4", "survey0/a5", "survey0/a6"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 10 { // the server hears of it in varying order
				gopherdiscovery.FakeTime(t, func(t *testing.T) {
					w, _, lists := stopped(t)
					time.Sleep(2 * time.Second)
					for _, name := range test.cut {
						w.Cut(name)
					}
					time.Sleep(test.halt - 2*time.Second)
					w.continueServer()
					time.Sleep(time.Minute)
					lists.expect(t)
				})
			}
		})
	}
}

// A client that lost its connection while the server was stopped has ReturnTime
// to come back. Joins are seen at once meanwhile.
func TestClientsReturnAfterAStop(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, clients, lists := stopped(t) // it will stop at 4 s
		time.Sleep(3 * time.Second)
		w.Cut("survey0/a0")
		clients[0].Close() // its goodbye is lost
		w.client("b", 0)
		time.Sleep(4 * time.Second)
		w.continueServer()
		time.Sleep(20 * time.Millisecond) // JoinInterval
		lists.expectWithin(t, 10*time.Second, 10020*time.Millisecond, ten+" b")
		time.Sleep(1980*time.Millisecond - 1)
		lists.expect(t)
		time.Sleep(1 * time.Nanosecond)
		lists.expect(t, delivered{12 * time.Second, ten[3:] + " b"})
	})
}

// A client that closed while the server was stopped leaves as the server goes
// on.
func TestGoodbyeDuringAStop(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, clients, lists := stopped(t)
		time.Sleep(3 * time.Second)
		clients[0].Close()
		time.Sleep(4 * time.Second)
		w.continueServer()
		lists.expect(t, delivered{10100 * time.Millisecond, ten[3:]})
	})
}

// gathered is the delay before the end of one of many connections is published
// as a leave, since others may follow at once.
const gathered = 20 * time.Millisecond

// After the stop a leave is seen at once again.
func TestServerRecoversFromAStop(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, clients, lists := stopped(t)
		time.Sleep(4 * time.Second)
		w.continueServer()
		time.Sleep(5 * time.Second)
		lists.expect(t)
		clients[0].Close()
		lists.expect(t, delivered{12 * time.Second, ten[3:]})
	})
}
