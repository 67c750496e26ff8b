package gopherdiscovery_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// halted returns a town whose only server is stopped at its poll at 4 s, and a
// subscriber that has the list of its clients a0 to a9.
func halted(t *testing.T) (w town, clients []*gopherdiscovery.DiscoveryClient, lists *record) {
	t.Helper()
	w = newTown(t)
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

func (w town) goOn() {
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

// A server that resumes is incomplete for PollTime. A subscriber that has a
// list is told of changes only at the end of that time. Others are told at once
// who is there.
func TestServerHoldsBackAfterAHalt(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, clients, lists := halted(t)
		time.Sleep(3 * time.Second) // it stopped at 4 s
		clients[0].Close()
		w.client("b", 0)
		time.Sleep(4 * time.Second)
		w.goOn()
		synctest.Wait()
		sub := w.subscriber("new", 0)
		newcomer := newRecord(sub.Changes())
		expectState(t, sub, true, false)
		time.Sleep(200*time.Millisecond - 1)
		newcomer.expect(t) // it must not be told of the dead
		time.Sleep(time.Nanosecond)
		newcomer.expect(t, delivered{200 * time.Millisecond, ten[3:] + " b"})
		time.Sleep(1800*time.Millisecond - 1)
		expectState(t, sub, true, false)
		lists.expect(t)
		time.Sleep(1 * time.Nanosecond)
		expectState(t, sub, true, true)
		lists.expect(t, delivered{12 * time.Second, ten[3:] + " b"})
		newcomer.expect(t)
	})
}

// gathered is the delay before the leave of one of many clients is published,
// since others may follow at once.
const gathered = 5 * time.Millisecond

// After the halt a leave is seen at once again.
func TestServerIsItselfAfterAHalt(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, clients, lists := halted(t)
		time.Sleep(4 * time.Second)
		w.goOn()
		time.Sleep(5 * time.Second)
		lists.expect(t)
		clients[0].Close()
		time.Sleep(gathered)
		lists.expect(t, delivered{12*time.Second + gathered, ten[3:]})
	})
}
