//go:build linux

package faults

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// site is a server, and peers that reach it on paths.
type site struct {
	*monitor
	t      *testing.T
	order  order // of the server
	server *process
}

func newSite(t *testing.T, timing timing) *site {
	t.Helper()
	host := fmt.Sprintf("127.253.%d.%d", os.Getpid()%256, lastHost.Add(1))
	s := &site{monitor: newMonitor(), t: t}
	s.order = order{Server: true, Survey: "tcp://" + host + ":10000", PubSub: "tcp://" + host + ":20000", Timing: timing}
	s.server = s.launch("server", s.order)
	s.eventually(func() string {
		if s.server.state().Services == nil {
			return "the server has no list"
		}
		return ""
	})
	return s
}

// launch starts a process that ends with the test.
func (s *site) launch(name string, o order) *process {
	s.t.Helper()
	p := launch(s.t, name, o, nil, s.monitor)
	s.t.Cleanup(p.end)
	return p
}

// names returns n names.
func names(prefix string, n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("%s-%03d", prefix, i))
	}
	return all
}

// settle returns when the server lists exactly these names, and has sent them
// to all the given processes of peers on every connection.
func (s *site) settle(names []string, peers ...*process) {
	s.t.Helper()
	begin := time.Now()
	s.eventually(func() string {
		services := s.server.state().Services
		if slices.Equal(services, names) {
			return ""
		}
		joined, left := gopherdiscovery.Diff(names, services)
		return fmt.Sprintf("the server lists %d names, not %d: %v too many, %v missing", len(services), len(names), joined, left)
	})
	for _, p := range peers {
		s.eventually(func() string {
			if heard := p.state().Heard; !heard.After(begin) {
				return fmt.Sprintf("%s has not heard the server since %s, but since %s", p.id, begin.Format(clock), heard.Format(clock))
			}
			return ""
		})
	}
}

func (s *site) eventually(look func() (missing string)) {
	s.t.Helper()
	eventually(s.t, 2*patience, look)
}

// since returns which readers were delivered a list after an event.
func (s *site) since(event time.Time) (told []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, r := range s.readers {
		if r.at.After(event) {
			told = append(told, fmt.Sprintf("%s: a list of %d names after %v", id, len(r.list), r.at.Sub(event)))
		}
	}
	return told
}

func (s *site) finish(fault, promise, measured string) {
	s.t.Helper()
	results.add(row{fault, 1, promise, measured, s.falseLeaves(s.t)})
}

// badTime is how long a bad path is watched.
func badTime(t *testing.T) time.Duration {
	t.Helper()
	if text := os.Getenv("FAULTS_BAD_PATH"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if isLong() {
		return time.Minute
	}
	return 15 * time.Second
}

// Between 200 clients and their server each segment takes 200 to 300 ms, and
// one in ten is lost. No client leaves the list because of that. To run it for
// 10 minutes:
//
//	FAULTS_BAD_PATH=10m go test -run TestBadPath -timeout 15m -v .
func TestBadPath(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		first bool // the path is bad from the start
	}{
		{"as ever", true},
		{"suddenly", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, defaults)
			surveys, lists := newPath(t, s.order.Survey), newPath(t, s.order.PubSub)
			if test.first {
				surveys.worsen()
				lists.worsen()
			}
			all := names("far", 200)
			watcher := s.launch("watcher", order{PubSub: s.order.PubSub, Subscribers: 3})
			crowd := s.launch("crowd", order{Survey: surveys.url, PubSub: lists.url, Clients: all})
			s.await(t, all, 2*patience, nil)
			s.declare(alive, all, nil)
			s.settle(all, watcher, crowd)
			surveys.worsen()
			lists.worsen()
			watched := badTime(t)
			time.Sleep(watched)
			s.settle(all, watcher)
			s.finish(fmt.Sprintf("200 clients on a path with 200-300 ms and 10 %% loss, %s, %v", test.name, watched),
				"no false leave", fmt.Sprintf("%d connections", s.server.state().Clients))
		})
	}
}

// A switch restarts: all connections are cut, and none can be made for 5 s. No
// one is told anything.
func TestAllConnectionsCut(t *testing.T) {
	t.Parallel()
	s := newSite(t, defaults)
	surveys, lists := newPath(t, s.order.Survey), newPath(t, s.order.PubSub)
	all := names("cut", 60)
	subscribers := s.launch("subscribers", order{PubSub: lists.url, Subscribers: 20})
	crowd := s.launch("crowd", order{Survey: surveys.url, PubSub: lists.url, Clients: all})
	s.await(t, all, patience, nil)
	s.declare(alive, all, nil)
	s.settle(all, subscribers, crowd)
	// A switch cuts all at once. This process cuts one connection after the
	// other, and when it is busy there are pauses in which the server publishes
	// the first ends, as it must. So those who would be told are cut first.
	cut := lists.cut()
	surveys.cut()
	time.Sleep(5 * time.Second)
	mended := time.Now()
	lists.mend() // the subscribers are back first
	surveys.mend()
	s.settle(all, subscribers, crowd)
	took := time.Since(mended)
	if told := s.since(cut); len(told) > 0 {
		t.Errorf("%d readers were told something, want none:\n%s", len(told), some(told))
	}
	s.finish("all connections cut for 5 s", "no list", after("all hear it and it lists all", took))
}

// Something on the path has died, and keeps the connections of one client open.
// The client dials again, and so does its subscription.
func TestDeadFlow(t *testing.T) {
	long(t)
	t.Parallel()
	s := newSite(t, defaults)
	surveys, lists := newPath(t, s.order.Survey), newPath(t, s.order.PubSub)
	all := names("near", 10)
	victim := order{Survey: surveys.url, PubSub: lists.url, Clients: []string{"victim"}}
	crowd := s.launch("crowd", order{Survey: s.order.Survey, PubSub: s.order.PubSub, Clients: all})
	far := s.launch("victim", victim)
	with := append(slices.Clone(all), "victim")
	s.await(t, with, patience, nil)
	s.declare(alive, all, nil)
	// The client must learn how far apart its surveys and its beats are.
	for range 3 {
		s.settle(with, crowd, far)
	}

	died := surveys.deaden()
	lists.deaden()
	late := s.launch("late", order{Survey: s.order.Survey, PubSub: s.order.PubSub, Clients: []string{"late"}})
	with = slices.Concat([]string{"late"}, all, []string{"victim"})
	// The server keeps the dead connection too, since nothing has told it.
	s.eventually(func() string {
		if clients := s.server.state().Clients; clients != len(with)+1 {
			return fmt.Sprintf("the server has %d connections, not %d", clients, len(with)+1)
		}
		return ""
	})
	s.await(t, with, patience, nil)
	back := time.Since(died)
	s.settle(with, crowd, far, late)
	if longest := vanished + redial + slack(atOnce); back > longest {
		t.Errorf("the client was back after %v, want %v at most", back, longest)
	}
	s.finish("dead flow that stays open", fmt.Sprintf("listed again after %v and a redial", vanished),
		after("back", back))
}

// vanished is how long a connection on which nothing arrives is kept.
const vanished = 30 * time.Second
