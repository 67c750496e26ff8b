package gopherdiscovery_test

import (
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

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
func TestBusySubscriberBlamesNobody(t *testing.T) {
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
