package gopherdiscovery_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// halted returns a fakeCluster whose only server is stopped at its poll at 4 s, and a
// subscriber that has the list of its clients a0 to a9.
func halted(t *testing.T) (w fakeCluster, clients []*gopherdiscovery.DiscoveryClient, lists *record) {
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

func (w fakeCluster) goOn() {
	for _, port := range []string{"survey0", "lists0"} {
		w.Continue(port)
	}
}

// A client that lost its connection while the server was stopped, and has
// reconnected, never leaves the list.
func TestHaltIsSeenByNoSubscriber(t *testing.T) {
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
					w, _, lists := halted(t)
					time.Sleep(2 * time.Second)
					for _, name := range test.cut {
						w.Cut(name)
					}
					time.Sleep(test.halt - 2*time.Second)
					w.goOn()
					time.Sleep(time.Minute)
					lists.expect(t)
				})
			}
		})
	}
}

// A client that lost its connection while the server was stopped has ReturnTime
// to come back. Joins are seen at once meanwhile.
func TestClientsReturnAfterAHalt(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, clients, lists := halted(t) // it will stop at 4 s
		time.Sleep(3 * time.Second)
		w.Cut("survey0/a0")
		clients[0].Close() // its goodbye is lost
		w.client("b", 0)
		time.Sleep(4 * time.Second)
		w.goOn()
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
func TestGoodbyeDuringAHalt(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, clients, lists := halted(t)
		time.Sleep(3 * time.Second)
		clients[0].Close()
		time.Sleep(4 * time.Second)
		w.goOn()
		lists.expect(t, delivered{10100 * time.Millisecond, ten[3:]})
	})
}

// gathered is the delay before the end of one of many connections is published
// as a leave, since others may follow at once.
const gathered = 20 * time.Millisecond

// After the halt a leave is seen at once again.
func TestServerIsItselfAfterAHalt(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, clients, lists := halted(t)
		time.Sleep(4 * time.Second)
		w.goOn()
		time.Sleep(5 * time.Second)
		lists.expect(t)
		clients[0].Close()
		lists.expect(t, delivered{12 * time.Second, ten[3:]})
	})
}
