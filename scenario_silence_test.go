package gopherdiscovery_test

import (
	"bytes"
	"strings"
	"testing"
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

// A server that nobody has come to says nothing of its list until it is complete,
// which takes a minute here. Subscribers in both forms keep their connections.
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
