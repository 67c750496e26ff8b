package gopherdiscovery_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

func TestCloseManyTimesAndConcurrently(t *testing.T) {
	server := startServer(t, quickOptions)
	client, peers := join(t, server, "client1")
	sub := subscribe(t, server)
	await(t, peers, "client1")
	var all sync.WaitGroup
	for _, e := range []ender{client, sub, server} {
		for range 10 {
			all.Go(func() {
				if err := e.Close(); err != nil {
					t.Errorf("Close: got %v, want nil", err)
				}
			})
			all.Go(e.Wait)
		}
	}
	for range 10 {
		all.Go(client.Cancel)
		all.Go(server.Cancel)
	}
	all.Wait()
	awaitClosed(t, peers)
	awaitClosed(t, sub.Changes())
	client.Cancel()
	server.Cancel()
}

func TestChannelsAreClosedAfterWait(t *testing.T) {
	for range 50 {
		client, err := quiet.ClientWithSub(context.Background(), "inproc://nobody", "inproc://nowhere", "client1")
		if err != nil {
			t.Fatal(err)
		}
		client.Close()
		peers, _ := client.Peers()
		select {
		case <-peers:
		default:
			t.Fatal("the channel is open after Close")
		}
	}
}

// After Wait the addresses can be bound again, and a server started on them
// works.
func TestAddressesAreFreeAfterWait(t *testing.T) {
	server := startServerAt(t, reserve(t), reserve(t), quickOptions)
	survey, pubsub := server.URLs()
	client, peers := join(t, server, "client1")
	await(t, peers, "client1")
	for range 20 {
		server.Cancel()
		server.Wait()
		var err error
		if server, err = gopherdiscovery.Server(survey, pubsub, quickOptions); err != nil {
			t.Fatalf("the addresses were not free: %v", err)
		}
	}
	defer server.Close()
	client.Close()
	_, peers = join(t, server, "client2")
	await(t, peers, "client2")
}

func TestEndOfTheContextEndsAll(t *testing.T) {
	server := startServer(t, quickOptions)
	survey, pubsub := server.URLs()
	ctx, cancel := context.WithCancel(context.Background())
	client, err := quiet.Client(ctx, survey, "client1")
	if err != nil {
		t.Fatal(err)
	}
	withSub, err := quiet.ClientWithSub(ctx, survey, pubsub, "client2")
	if err != nil {
		t.Fatal(err)
	}
	sub, err := quiet.NewSubscriber(ctx, pubsub)
	if err != nil {
		t.Fatal(err)
	}
	await(t, sub.Changes(), "client1", "client2")
	cancel()
	for _, e := range []ender{client, withSub, sub} {
		e.Wait()
	}
	awaitClosed(t, sub.Changes())
}

func TestContextThatHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	sub, err := quiet.NewSubscriber(ctx, reserve(t))
	if err != nil {
		t.Fatal(err)
	}
	sub.Wait()
	client, err := quiet.ClientWithSub(ctx, reserve(t), reserve(t), "client1")
	if err != nil {
		t.Fatal(err)
	}
	client.Wait()
}

// Wait also returns at once while clients look for a server that is not there,
// or connect to one that never answers.
func TestCloseWhileConnecting(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	for name, url := range map[string]string{"nobody": reserve(t), "mute": "tcp://" + mute.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			logger, book := newLogger()
			d := &gopherdiscovery.Dialer{Logger: logger}
			start := time.Now()
			for range 20 {
				client, err := d.Client(context.Background(), url, "client1")
				if err != nil {
					t.Fatal(err)
				}
				if name == "mute" {
					c, err := mute.Accept()
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close()
				}
				client.Close()
			}
			if name == "mute" && book.String() != "" {
				t.Errorf("clean stops were logged:\n%s", book)
			}
			if took := time.Since(start); took > patience/3 {
				t.Errorf("20 times Close took %v", took)
			}
		})
	}
}

func TestServerClosesWithConnectionsInAnyState(t *testing.T) {
	for range 20 {
		server := startServer(t, quickOptions)
		survey, pubsub := server.URLs()
		for _, url := range []string{survey, pubsub} {
			for range 5 {
				c, err := net.Dial("tcp", strings.TrimPrefix(url, "tcp://"))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
			}
		}
		announce(t, server, "client1")
		server.Close()
	}
}

// TestChurn opens and closes servers, clients and subscribers concurrently and
// in random order, for the race detector and the leak check.
func TestChurn(t *testing.T) {
	a := newAuthority(t)
	opt, d := tlsPair(t, a, "peer")
	d.TLSConfig.ServerName = "server"
	duration := time.Second
	if testing.Short() {
		duration /= 5
	}
	ctx, cancel := context.WithTimeout(context.Background(), duration)
	defer cancel()
	dir := t.TempDir()
	var all sync.WaitGroup
	for _, urls := range [][2]string{
		{reserve(t), reserve(t)},
		{strings.Replace(reserve(t), "tcp", "tls+tcp", 1), strings.Replace(reserve(t), "tcp", "tls+tcp", 1)},
		{"ipc://" + dir + "/s", "ipc://" + dir + "/p"},
		{"inproc://churn-s", "inproc://churn-p"},
	} {
		pause := func() {
			select {
			case <-time.After(time.Duration(rand.Int64N(int64(3 * time.Millisecond)))):
			case <-ctx.Done():
			}
		}
		all.Go(func() {
			for ctx.Err() == nil {
				server, err := gopherdiscovery.ServerContext(ctx, urls[0], urls[1], opt)
				if err != nil {
					t.Error(err)
					return
				}
				pause()
				pause()
				if rand.IntN(2) == 0 {
					server.Cancel()
				}
				server.Close()
			}
		})
		for range 4 {
			all.Go(func() {
				for ctx.Err() == nil {
					client, err := d.ClientWithSub(ctx, urls[0], urls[1], "client")
					if err != nil {
						t.Error(err)
						return
					}
					pause()
					sub, err := d.NewSubscriber(ctx, urls[1])
					if err != nil {
						t.Error(err)
						return
					}
					pause()
					if rand.IntN(2) == 0 {
						client.Cancel()
					}
					sub.Close()
					client.Close()
				}
			})
		}
	}
	all.Wait()
	if left := leftGoroutines(); left != "" {
		t.Errorf("goroutines left behind:\n%s", left)
	}
}

func TestNoDescriptorIsLeft(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("counts descriptors in /proc")
	}
	before := countDescriptors(t)
	server := startServer(t, quickOptions)
	for i := range 20 {
		client, peers := join(t, server, "client")
		await(t, peers, "client")
		if i%2 == 0 {
			client.Close()
		}
		defer client.Close()
	}
	server.Close()
	// Half of the clients are still looking for their server.
	if server.Stats().Clients != 0 {
		t.Errorf("the closed server counts %d clients", server.Stats().Clients)
	}
	t.Cleanup(func() {
		if after := countDescriptors(t); after > before {
			t.Errorf("%d descriptors before, %d after", before, after)
		}
	})
}

func countDescriptors(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// Whatever happens, subscribers that receive changes and subscribers that
// receive whole lists end up with the same list, and that list is right. On the
// way, no list lacks a client that never left. CHAOS says how many runs there
// are, and CHAOS_SEED is the seed of the only one.
func TestChangesComeToTheSameAsLists(t *testing.T) {
	seeds := make([]uint64, max(setting(t, "CHAOS"), 3))
	for i := range seeds {
		seeds[i] = rand.Uint64()
	}
	if seed := setting(t, "CHAOS_SEED"); seed != 0 {
		seeds = []uint64{seed}
	}
	for _, seed := range seeds {
		t.Logf("seed %d", seed)
		gopherdiscovery.FakeTime(t, func(t *testing.T) {
			c := newChaos(t, seed)
			for start := time.Now(); time.Since(start) < 20*time.Minute; {
				for range 20 {
					c.disturb()
					c.sleep(c.pause(3 * time.Second))
				}
				c.calm()
				c.expectTruth()
			}
			for name := range c.subs {
				c.expectForm(name)
			}
		})
	}
}

// setting returns the value of a variable of the environment, or zero.
func setting(t *testing.T, variable string) uint64 {
	t.Helper()
	value := cmp.Or(os.Getenv(variable), "0")
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// expectForm checks that a subscriber was served in the form that it is meant
// for, with messages of all kinds.
func (c *chaos) expectForm(name string) {
	c.t.Helper()
	kinds := make(map[byte]int)
	for n := range c.servers {
		for _, conn := range c.Conns(lists(n) + "/" + name) {
			for _, m := range conn.Down() {
				kinds[(m.Body + " ")[0]]++
			}
		}
	}
	inChanges := strings.HasPrefix(name, "changes")
	for _, kind := range []byte{welcome, list, change, beat} {
		if (kinds[kind] > 0) != inChanges {
			c.t.Errorf("%s was sent %d messages of kind %d", name, kinds[kind], kind)
		}
	}
}

// This is the same over TCP. There an old subscriber is slow: it reads only at
// the end of each round.
func TestChangesComeToTheSameAsListsOverTCP(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	server := startServer(t, quickOptions)
	_, pubsub := server.URLs()
	sub := subscribe(t, server)
	plain := sptest.Dial(t, pubsub, sptest.Sub, sptest.Pub)
	clients := make(map[string]*gopherdiscovery.DiscoveryClient)
	for round := range 5 {
		for step := range 20 {
			if names := slices.Collect(maps.Keys(clients)); len(names) > 0 && random.IntN(3) == 0 {
				name := names[random.IntN(len(names))]
				clients[name].Close()
				delete(clients, name)
				continue
			}
			name := fmt.Sprintf("client%d.%d", round, step)
			clients[name] = announce(t, server, name)
		}
		want := slices.Sorted(maps.Keys(clients))
		testmain.Await(t, "the subscriber in changes has the list of all", func() bool {
			return slices.Equal(sub.List(), want)
		})
		for string(plain.MustReceive(t)) != strings.Join(want, "|") {
		}
	}
}

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
