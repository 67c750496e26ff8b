package gopherdiscovery_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

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
