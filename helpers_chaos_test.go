package gopherdiscovery_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// chaos is a fakeCluster with two servers where anything may happen. Its
// subscribers come in pairs, one for each form of subscription.
type chaos struct {
	fakeCluster
	random  *rand.Rand
	book    *logBook // of the clients and subscribers
	servers [2]*gopherdiscovery.DiscoveryServer
	busy    [2]bool // it is halted, or has just started
	later   []event
	clients map[string]*gopherdiscovery.DiscoveryClient
	named   int
	subs    map[string]*gopherdiscovery.Subscriber
	frozen  map[string]bool // ports of subscribers
	lists   map[string]*record
}

// event is an action and the time at which it is due.
type event struct {
	at time.Time
	do func()
}

// survivors are clients that never leave.
var survivors = []string{"survivor0", "survivor1", "survivor2"}

const pairs = 3 // of subscribers, one in each form

func newChaos(t *testing.T, seed uint64) *chaos {
	logger, book := newLogger()
	c := &chaos{
		book:        book,
		fakeCluster: newFakeCluster(t),
		random:      rand.New(rand.NewPCG(seed, 0)),
		clients:     make(map[string]*gopherdiscovery.DiscoveryClient),
		subs:        make(map[string]*gopherdiscovery.Subscriber),
		frozen:      make(map[string]bool),
		lists:       make(map[string]*record),
	}
	c.dialer = &gopherdiscovery.Dialer{Logger: logger}
	for n := range c.servers {
		c.servers[n] = c.server(n)
	}
	for _, name := range survivors {
		c.clients[name] = c.client(name, 0, 1)
	}
	time.Sleep(10 * time.Second)
	for i := range pairs {
		changes, plain := fmt.Sprint("changes", i), fmt.Sprint("plain", i)
		c.subs[changes] = c.subscriber(changes, 0, 1)
		c.subs[plain] = c.plainSubscriber(plain, 0, 1)
	}
	for name, sub := range c.subs {
		c.lists[name] = newRecord(sub.Changes())
	}
	return c
}

func (c *chaos) pause(most time.Duration) time.Duration {
	return time.Duration(c.random.Int64N(int64(most)))
}

// disturb makes something happen.
func (c *chaos) disturb() {
	n := c.random.IntN(2)
	switch c.random.IntN(12) {
	case 0, 1, 2, 3:
		c.join()
	case 4, 5, 6:
		c.leave()
	case 7, 8:
		port := c.port(n)
		c.Freeze(port)
		c.frozen[port] = true
	case 9:
		c.Cut(c.port(n))
	case 10:
		c.restart(n)
	case 11:
		c.halt(n)
	}
}

// join starts a client at one server or both.
func (c *chaos) join() {
	at := [][]int{{0}, {1}, {0, 1}, {0, 1}}[c.random.IntN(4)]
	name := fmt.Sprint("client", c.named)
	c.named++
	c.clients[name] = c.client(name, at...)
}

func (c *chaos) leave() {
	names := slices.DeleteFunc(c.names(), func(name string) bool { return slices.Contains(survivors, name) })
	if len(names) > 0 {
		name := names[c.random.IntN(len(names))]
		c.clients[name].Close()
		delete(c.clients, name)
	}
}

func (c *chaos) names() []string { return slices.Sorted(maps.Keys(c.clients)) }

// port returns a port at which some subscriber is connected to server n.
func (c *chaos) port(n int) string {
	names := slices.Sorted(maps.Keys(c.subs))
	return lists(n) + "/" + names[c.random.IntN(len(names))]
}

func (c *chaos) restart(n int) {
	if c.busy[n] {
		return
	}
	c.busy[n] = true
	c.servers[n].Close()
	away := c.pause(5 * time.Second)
	c.after(away, func() { c.servers[n] = c.server(n) })
	c.after(away+5*time.Second, func() { c.busy[n] = false })
}

func (c *chaos) halt(n int) {
	if c.busy[n] {
		return
	}
	c.busy[n] = true
	c.Halt(survey(n))
	c.Halt(lists(n))
	c.after(c.pause(20*time.Second), func() {
		c.Continue(survey(n))
		c.Continue(lists(n))
		c.busy[n] = false
	})
}

func (c *chaos) after(pause time.Duration, do func()) {
	c.later = append(c.later, event{time.Now().Add(pause), do})
}

// sleep lets time pass, and runs the events that are due meanwhile.
func (c *chaos) sleep(d time.Duration) {
	end := time.Now().Add(d)
	for {
		first := -1
		for i, e := range c.later {
			if !e.at.After(end) && (first < 0 || e.at.Before(c.later[first].at)) {
				first = i
			}
		}
		if first < 0 {
			time.Sleep(time.Until(end))
			return
		}
		next := c.later[first]
		c.later = slices.Delete(c.later, first, first+1)
		time.Sleep(time.Until(next.at))
		next.do()
	}
}

// calm repairs the network, and waits until every subscriber can know
// everything.
func (c *chaos) calm() {
	c.sleep(20 * time.Second) // servers that are halted or away come back
	for port := range c.frozen {
		c.Thaw(port)
	}
	clear(c.frozen)
	c.sleep(15 * time.Second)
	synctest.Wait()
}

// expectTruth checks that all subscribers have the same list, never missed a
// survivor, and were sent nothing that violates the protocol.
func (c *chaos) expectTruth() {
	c.t.Helper()
	for _, line := range []string{"connection closed", "left out"} {
		if strings.Contains(c.book.String(), line) {
			c.t.Fatalf("logged %q:\n%s", line, c.book)
		}
	}
	want := c.names()
	for name, sub := range c.subs {
		if got := sub.List(); !slices.Equal(got, want) {
			c.t.Fatalf("%s has the list %v, want %v", name, got, want)
		}
		r := c.lists[name]
		r.mu.Lock()
		for _, d := range r.got {
			for _, survivor := range survivors {
				if !strings.Contains(d.list, survivor) {
					c.t.Errorf("%s: the list %q of %v lacks %s", name, d.list, d.at, survivor)
				}
			}
		}
		r.got = nil
		r.mu.Unlock()
	}
}
