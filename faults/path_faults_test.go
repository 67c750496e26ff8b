//go:build linux

package faults

import (
	"fmt"
	"os"
	"testing"
	"time"
)

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
				surveys.degrade()
				lists.degrade()
			}
			all := names("far", many)
			watcher := s.launch("watcher", order{PubSub: s.order.PubSub, Subscribers: 3})
			crowd := s.launch("crowd", order{Survey: surveys.url, PubSub: lists.url, Clients: all})
			s.await(t, all, 2*patience, nil)
			s.declare(alive, all, nil)
			s.settle(all, watcher, crowd)
			surveys.degrade()
			lists.degrade()
			watched := badTime(t)
			time.Sleep(watched)
			s.settle(all, watcher)
			s.finish(fmt.Sprintf("%d clients on a path with 200-300 ms and 10 %% loss, %s, %v", many, test.name, watched),
				"no false leave", fmt.Sprintf("%d connections", s.server.state().Clients))
		})
	}
}

// A switch restarts: all connections of clients are cut, and none can be made
// for longer than PollTime. No one is told anything, not even subscribers that
// reach the server all the time.
func TestAllConnectionsCut(t *testing.T) {
	t.Parallel()
	const pause = 5 * time.Second
	s := newSite(t, quick)
	o := order{Survey: "tcp://" + newHost("127.252") + ":10000", PubSub: "tcp://" + newHost("127.252") + ":20000"}
	o.Paths = map[string]string{o.Survey: s.order.Survey, o.PubSub: s.order.PubSub}
	paths := s.launch("paths", o)
	all := names("cut", 60)
	subscribers := s.launch("subscribers", order{PubSub: o.PubSub, Subscribers: 20})
	bystanders := s.launch("bystanders", order{PubSub: s.order.PubSub, Subscribers: 5})
	crowd := s.launch("crowd", order{Survey: o.Survey, PubSub: o.PubSub, Clients: all})
	s.await(t, all, patience, nil)
	s.declare(alive, all, nil)
	s.settle(all, subscribers, bystanders, crowd)
	// The system ends all connections of a process in one go, as a switch does.
	// If it had to pause, the server would tell the first ends, as it must.
	paths.hurry()
	cut := time.Now()
	paths.kill()
	time.Sleep(time.Until(cut.Add(pause)))
	mended := time.Now()
	s.launch("paths", o)
	s.awaitConnections(len(all))
	again := time.Since(mended)
	if again > redial+margin {
		t.Errorf("all were connected again after %v, want it within %v and a margin of %v", again, redial, margin)
	}
	s.settle(all, subscribers, bystanders, crowd)
	s.checkToldNothing(cut)
	s.finish(fmt.Sprintf("all connections cut for %v", pause), "no list", after("all connected again", again))
}
