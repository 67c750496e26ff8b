//go:build linux

package faults

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

const (
	crowds    = 4 // processes
	crowdSize = 11
	singles   = 6
	// Together these are 50 clients.
)

// The quick timing shows faults sooner than the default does. The time to
// return is the default in both, whatever PollTime is.
var (
	quick    = timing{PollTime: 500 * time.Millisecond, SurveyTime: 500 * time.Millisecond, MissedSurveys: 2}
	defaults = timing{PollTime: 2 * time.Second, SurveyTime: time.Second, MissedSurveys: 2}
)

// world is a number of servers, 50 clients with subscriptions, and a process
// with subscribers only.
type world struct {
	*monitor
	t     *testing.T
	start time.Time
	// sides are the networks of the processes: a single nil if they have none
	// of their own.
	sides   []*space
	timing  timing
	surveys string
	pubsubs string
	servers []*process
	clients []*process // the crowds first, then those with a single client
	watcher *process
	names   []string // all that are to be listed, sorted
	counts  map[string]state
}

var lastHost atomic.Int64

// newWorld starts a world, and returns when everyone knows everyone.
func newWorld(t *testing.T, servers int, timing timing) *world {
	t.Helper()
	// All of 127.0.0.0/8 is this machine. Separate addresses keep tests apart,
	// and the ports are below those that the system gives to others while a
	// server is away.
	addresses := make([]string, servers)
	for i := range addresses {
		host, pid := lastHost.Add(1), os.Getpid()
		addresses[i] = fmt.Sprintf("127.%d.%d.%d", 1+pid>>8%250, pid%256, host)
	}
	return settle(t, addresses, []*space{nil}, []*space{nil}, timing)
}

// settle starts a world with servers and clients. The clients are on the given
// sides of the network, in turn.
func settle(t *testing.T, addresses []string, serverSides, sides []*space, timing timing) *world {
	t.Helper()
	w := &world{monitor: newMonitor(), t: t, start: time.Now(), sides: sides, timing: timing}
	t.Cleanup(w.end)
	var surveys, pubsubs []string
	for i, address := range addresses {
		survey, pubsub := fmt.Sprintf("tcp://%s:%d", address, 10000+i), fmt.Sprintf("tcp://%s:%d", address, 20000+i)
		surveys, pubsubs = append(surveys, survey), append(pubsubs, pubsub)
		o := order{Server: true, Survey: survey, PubSub: pubsub, Timing: timing}
		w.servers = append(w.servers, w.launch("server", o, serverSides[min(i, len(serverSides)-1)]))
	}
	w.surveys, w.pubsubs = strings.Join(surveys, ","), strings.Join(pubsubs, ",")
	for i := range crowds {
		var names []string
		for j := range crowdSize {
			names = append(names, fmt.Sprintf("crowd-%d-%02d", i, j))
		}
		w.clients = append(w.clients, w.launchClients(names, sides[i%len(sides)]))
	}
	for i := range singles {
		w.clients = append(w.clients, w.launchClients([]string{fmt.Sprintf("single-%d", i)}, sides[i%len(sides)]))
	}
	w.watcher = w.launch("watcher", order{PubSub: w.pubsubs, Subscribers: 3}, sides[0])
	w.await(t, w.names, patience, sides...)
	w.awaitServers(w.start)
	w.declare(alive, w.names, sides...)
	w.counts = w.count()
	return w
}

func (w *world) launch(name string, o order, side *space) *process {
	w.t.Helper()
	return launch(w.t, name, o, side, w.monitor)
}

func (w *world) launchClients(names []string, side *space) *process {
	w.t.Helper()
	w.names = append(w.names, names...)
	slices.Sort(w.names)
	return w.launch(strings.TrimRight(names[0], "0123456789-"), order{Survey: w.surveys, PubSub: w.pubsubs, Clients: names}, side)
}

// single returns one of the processes with a single client.
func (w *world) single(i int) *process { return w.clients[crowds+i] }

// lose takes the names of a process that is about to end off the names that are
// to be listed.
func (w *world) lose(p *process) {
	w.declare(unsure, p.order.Clients, w.sides...)
	w.names = slices.DeleteFunc(slices.Clone(w.names), func(name string) bool { return slices.Contains(p.order.Clients, name) })
}

// kill kills a client or a server, and returns the time.
func (w *world) kill(p *process) time.Time {
	w.t.Helper()
	w.lose(p)
	w.forget(p)
	now := time.Now()
	p.kill()
	return now
}

// leave lets a client end by itself, and returns the time at which it was told
// to.
func (w *world) leave(p *process) time.Time {
	w.t.Helper()
	w.lose(p)
	w.forget(p)
	now := time.Now()
	p.end()
	p.killed = true
	return now
}

// revive starts a killed process again, in its place.
func (w *world) revive(p *process) (*process, time.Time) {
	w.t.Helper()
	now := time.Now()
	again := w.launch(strings.TrimRight(p.id, "0123456789-"), p.order, p.space)
	w.names = append(w.names, p.order.Clients...)
	slices.Sort(w.names)
	for _, list := range [][]*process{w.servers, w.clients} {
		if i := slices.Index(list, p); i >= 0 {
			list[i] = again
		}
	}
	return again, now
}

// stop stops a process without its noticing.
func (w *world) stop(p *process) time.Time {
	w.t.Helper()
	w.setAway(p, true)
	now := time.Now()
	p.signal(syscall.SIGSTOP)
	return now
}

func (w *world) resume(p *process) time.Time {
	w.t.Helper()
	now := time.Now()
	p.signal(syscall.SIGCONT)
	w.setAway(p, false)
	return now
}

// awaitNames returns how long after an event all readers have the list of
// w.names. It fails the test if that takes longer than promised.
func (w *world) awaitNames(event time.Time, promised time.Duration) time.Duration {
	w.t.Helper()
	return w.awaitWithin(w.t, w.names, event, promised, w.sides...)
}

// awaitServers returns how long after an event every server was found to list
// all names. It then waits until the servers are complete, and every subscriber
// has heard them since. The subscribers have then been told whatever they were
// to be told.
func (w *world) awaitServers(event time.Time) time.Duration {
	w.t.Helper()
	w.eventually(w.unlisted)
	took := time.Since(event)
	w.eventually(func() (missing string) {
		for _, p := range w.all() {
			if p.order.Server && !p.state().Complete {
				return p.id + " is not complete"
			}
		}
		return ""
	})
	complete := time.Now()
	w.eventually(func() (missing string) {
		for _, p := range w.all() {
			if p.state().Heard.Before(complete) {
				return p.id + " does not hear all servers"
			}
		}
		return ""
	})
	return took
}

// unlisted names a server that does not list all names, or returns "" if there
// is none.
func (w *world) unlisted() (missing string) {
	for _, p := range w.all() {
		if s := p.state(); p.order.Server && !slices.Equal(s.Services, w.names) {
			return fmt.Sprintf("%s lists %d names, not %d", p.id, len(s.Services), len(w.names))
		}
	}
	return ""
}

// checkTime fails the test if something took longer than promised.
func (w *world) checkTime(what string, took, promised time.Duration) {
	w.t.Helper()
	if took > promised+margin {
		w.t.Errorf("%s after %v, want it within %v and a margin of %v", what, took, promised, margin)
	}
}

func (w *world) eventually(look func() (missing string)) {
	w.t.Helper()
	testmain.Eventually(w.t, patience, look)
}

// all returns the processes that have not been killed.
func (w *world) all() []*process {
	all := slices.Concat(w.servers, w.clients, []*process{w.watcher})
	return slices.DeleteFunc(all, func(p *process) bool { return p == nil || p.killed })
}

func (w *world) count() map[string]state {
	w.t.Helper()
	counts := make(map[string]state)
	for _, p := range w.all() {
		counts[key(p)] = p.state()
	}
	return counts
}

// key is the same for a process and for the one that has taken its place.
func key(p *process) string {
	return p.order.Survey + p.order.PubSub + strings.Join(p.order.Clients, " ")
}

// finish checks that nothing was leaked and that no list lacked a living name,
// and adds the measurements to the table.
func (w *world) finish(fault, promise string, measured ...string) {
	w.t.Helper()
	w.eventually(func() (grown string) {
		for name, is := range w.count() {
			if was := w.counts[name]; is.Goroutines > was.Goroutines || is.Files > was.Files {
				return fmt.Sprintf("%s has %d goroutines and %d descriptors, and had %d and %d",
					name, is.Goroutines, is.Files, was.Goroutines, was.Files)
			}
		}
		return ""
	})
	results.add(row{fault, len(w.servers), promise, strings.Join(measured, "; "), w.falseLeaves(w.t)})
}

// end ends all processes, the clients first.
func (w *world) end() {
	for _, p := range slices.Backward(w.all()) {
		_ = p.cmd.Process.Signal(syscall.SIGCONT)
		p.end()
	}
}
