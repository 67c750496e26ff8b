package gopherdiscovery

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// No living client leaves a list, no dead one stays, and in the end everyone
// knows everyone, whatever happens to the servers, their clients and the
// network. CLUSTERS says how many clusters are simulated. CLUSTERS_SEED is the
// seed of one, of which all is printed.
func TestClusters(t *testing.T) {
	t.Parallel()
	if seed := os.Getenv("CLUSTERS_SEED"); seed != "" {
		n, err := strconv.ParseUint(seed, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		c := playCluster(n, true)
		t.Logf("%s\n%s", &c.clusterWorld, strings.Join(c.journal, "\n"))
		if c.oracle.failure != "" {
			t.Error(c.oracle.failure)
		}
		return
	}
	count := testmain.Rounds(200)
	if n := os.Getenv("CLUSTERS"); n != "" {
		count, _ = strconv.Atoi(n)
	}
	var next atomic.Uint64
	var all sync.WaitGroup
	var mu sync.Mutex
	passed, failed := make(map[string]int), []uint64{}
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for seed := next.Add(1); seed <= uint64(count); seed = next.Add(1) {
				c := playCluster(seed, false)
				mu.Lock()
				if c.oracle.failure == "" {
					passed[c.kind]++
				} else if failed = append(failed, seed); len(failed) <= 5 {
					c = playCluster(seed, true)
					tail := c.journal[max(0, len(c.journal)-40):]
					t.Errorf("%s\n%s\n%s", &c.clusterWorld, strings.Join(tail, "\n"), c.oracle.failure)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	t.Logf("passed: %v, failed: seeds %v", passed, failed)
}

// playCluster simulates the cluster of a seed, until it fails.
func playCluster(seed uint64, verbose bool) *clusterSim {
	c := newCluster(seed)
	c.verbose = verbose
	c.play()
	return c
}

// clusterWorld says what a cluster is like.
type clusterWorld struct {
	seed    uint64
	kind    string
	options Options
	peers   int
	length  time.Duration // until it is left to rest

	latency, jitter time.Duration // of the network
	loss            float64
	react           time.Duration // within which a client answers
	handshakeCost   time.Duration // of a processor
	loopTime        time.Duration // the longest turn of the server's loop
	servers         int
	machines        int // that have taken over an address
}

func (w *clusterWorld) String() string {
	return fmt.Sprintf("seed %d: %s, %d clients, %d servers, %v, PollTime %v, latency %v + %v, loss %.2f, handshake %v, loop %v",
		w.seed, w.kind, w.peers, w.servers, w.length, w.options.PollTime, w.latency, w.jitter, w.loss, w.handshakeCost, w.loopTime)
}

// clusterKinds are the kinds of worlds. Each function does one thing to the
// cluster, which is repeated.
var clusterKinds = []struct {
	name string
	do   func(c *clusterSim, a *clusterAddress)
}{
	{"churn", func(c *clusterSim, _ *clusterAddress) { c.churn() }},
	{"restarts", func(c *clusterSim, a *clusterAddress) { c.restart(a, c.some(100*time.Millisecond, 40*time.Second)) }},
	{"fail-overs", func(c *clusterSim, a *clusterAddress) {
		c.failOver(a, c.between(13*time.Second, 30*time.Second), c.chance(0.5))
	}},
	{"moves", func(c *clusterSim, a *clusterAddress) {
		c.failOver(a, c.some(time.Millisecond, time.Second), c.chance(0.5))
	}},
	{"cuts", func(c *clusterSim, a *clusterAddress) {
		if c.chance(0.5) {
			c.cut(a, 1, c.some(100*time.Millisecond, 25*time.Second))
		} else {
			c.cut(a, 0.5+c.rng.Float64()/2, c.some(time.Millisecond, 3*time.Second))
		}
	}},
	{"blackouts", func(c *clusterSim, a *clusterAddress) {
		c.blackOut(a, min(1, 0.2+c.rng.Float64()), c.some(100*time.Millisecond, 19*time.Second))
	}},
	{"stops", func(c *clusterSim, a *clusterAddress) { c.stop(a, c.some(100*time.Millisecond, time.Minute)) }},
	{"suspensions", func(c *clusterSim, a *clusterAddress) { c.suspend(a, c.some(100*time.Millisecond, time.Minute)) }},
	{"deploys", func(c *clusterSim, _ *clusterAddress) { c.deploy(c.rng.Float64()) }},
	{"kills", func(c *clusterSim, _ *clusterAddress) { c.kill(c.rng.Float64()) }},
	{"subscribers", func(c *clusterSim, a *clusterAddress) { c.hitSubscriber(a) }},
	{"single cuts", func(c *clusterSim, a *clusterAddress) { c.cut(a, 0.1, c.some(time.Millisecond, 10*time.Second)) }},
}

// churn lets a few clients come and go.
func (c *clusterSim) churn() {
	switch c.rng.IntN(3) {
	case 0:
		c.end(clusterEnding(1 + c.rng.IntN(4)))
	case 1:
		c.join()
	default:
		c.end(clusterKilled)
		c.join()
	}
}

// some returns a random time, short ones as often as long ones.
func (c *clusterSim) some(from, to time.Duration) time.Duration {
	return time.Duration(float64(from) * math.Pow(float64(to)/float64(from), c.rng.Float64()))
}

// newCluster returns the world of a seed, before anything has happened.
func newCluster(seed uint64) *clusterSim {
	c := &clusterSim{rng: rand.New(rand.NewPCG(seed, 1))}
	c.oracle.c = c
	c.seed = seed
	c.options, _ = Options{PollTime: c.some(100*time.Millisecond, time.Minute)}.withDefaults()
	c.length = c.some(time.Minute, 4*time.Minute)
	c.peers = 5 + c.rng.IntN(36)
	// A world with many surveys is smaller.
	for float64(c.peers)*c.length.Seconds()/c.options.PollTime.Seconds() > 6000 && c.peers > 5 {
		c.peers--
	}
	c.latency, c.jitter = 200*time.Microsecond, 100*time.Microsecond
	if c.chance(0.4) {
		c.latency, c.jitter = c.some(time.Millisecond, 100*time.Millisecond), c.some(100*time.Microsecond, 5*time.Millisecond)
	}
	if c.chance(0.15) {
		c.loss = 0.05 * c.rng.Float64()
	}
	c.react = c.some(100*time.Microsecond, 5*time.Millisecond)
	if c.chance(0.4) {
		c.handshakeCost = c.some(10*time.Millisecond, 800*time.Millisecond)
	}
	c.loopTime = c.some(50*time.Microsecond, 5*time.Millisecond)
	c.servers = 1
	if c.chance(0.3) {
		c.servers += 1 + c.rng.IntN(2)
	}
	return c
}

// play lets the world take its course.
func (c *clusterSim) play() {
	kind := clusterKinds[c.rng.IntN(len(clusterKinds)+1)%len(clusterKinds)]
	mixed := c.chance(0.3)
	c.kind = kind.name
	if mixed {
		c.kind = "mixed"
	}
	if c.servers > 1 {
		c.kind += ", several servers"
	}
	for i := range c.servers {
		host := c.newHost(fmt.Sprint("s", i))
		c.addresses = append(c.addresses, &clusterAddress{name: fmt.Sprint("address", i), host: host})
		c.startServer(host)
	}
	c.observe()
	c.oracle.disturb(0)
	for i := range 1 + c.rng.IntN(3) {
		c.startSubscriber(fmt.Sprint("subscriber", i))
	}
	for range c.peers {
		c.after(c.between(0, 3*time.Second), c.join)
	}
	for at := 12*time.Second + c.herd(); at < c.length; {
		c.after(at, func() {
			do := kind.do
			if mixed {
				do = clusterKinds[c.rng.IntN(len(clusterKinds))].do
			}
			do(c, c.addresses[c.rng.IntN(len(c.addresses))])
			for c.chance(0.4) {
				c.after(c.some(time.Millisecond, 10*time.Second), c.churn)
			}
		})
		at += c.some(time.Second, 30*time.Second)
	}
	c.run(c.length)
	c.run(c.length + 3*time.Minute + 5*c.options.PollTime)
	c.oracle.finish()
}
