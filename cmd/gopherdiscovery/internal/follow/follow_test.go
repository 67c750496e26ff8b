package follow_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/cmd/gopherdiscovery/internal/follow"
)

// subscription is one whose lists are made by the test.
type subscription struct {
	changes chan []string

	mu      sync.Mutex // guards the fields below
	list    []string
	servers []gopherdiscovery.ServerState
}

func (s *subscription) Changes() chan []string { return s.changes }

func (s *subscription) List() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}

func (s *subscription) Servers() []gopherdiscovery.ServerState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.servers)
}

// deliver delivers a list in place of one that waits, as a subscriber does.
func (s *subscription) deliver(list ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append([]string{}, list...)
	select {
	case <-s.changes:
	default:
	}
	s.changes <- slices.Clone(s.list)
}

// complete says whether the list of a server is complete.
func (s *subscription) complete(server int, is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.servers[server].Complete = is
}

// scene is a follower in a bubble, with a subscription to some servers, whose
// lists are not complete.
type scene struct {
	*subscription

	t     *testing.T
	begin time.Time
	end   context.CancelFunc // of the context
	again chan struct{}
	takes time.Duration // how long a call takes
	fails atomic.Bool   // what a call returns
	mu    sync.Mutex    // guards acts
	acts  []string      // "time list" of each call
}

func play(t *testing.T, f follow.Follower, servers int, script func(s *scene)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &scene{
			subscription: &subscription{
				changes: make(chan []string, 1),
				servers: make([]gopherdiscovery.ServerState, servers),
			},
			t:     t,
			begin: time.Now(),
			again: make(chan struct{}),
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s.end, f.Again = cancel, s.again
		f.Act = func(list []string) bool {
			s.mu.Lock()
			s.acts = append(s.acts, fmt.Sprintf("%v %s", time.Since(s.begin), strings.Join(list, "")))
			s.mu.Unlock()
			time.Sleep(s.takes)
			return s.fails.Load()
		}
		ended := make(chan struct{})
		go func() {
			f.Run(ctx, s)
			close(ended)
		}()
		script(s)
		close(s.changes)
		<-ended
	})
}

// at waits until so long after the start.
func (s *scene) at(d time.Duration) {
	time.Sleep(time.Until(s.begin.Add(d)))
	synctest.Wait()
}

// acted returns the calls until now.
func (s *scene) acted() []string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.acts)
}

func (s *scene) want(acts ...string) {
	s.t.Helper()
	if got := s.acted(); !slices.Equal(got, acts) {
		s.t.Errorf("after %v: acted at %q, want %q", time.Since(s.begin), got, acts)
	}
}

const ms = time.Millisecond

func TestActsAtOnce(t *testing.T) {
	play(t, follow.Follower{}, 1, func(s *scene) {
		s.complete(0, true)
		s.deliver("a")
		s.want("0s a")
		s.at(70 * ms)
		s.deliver("a", "b")
		s.want("0s a", "70ms ab")
		s.at(90 * ms)
		s.deliver()
		s.want("0s a", "70ms ab", "90ms ")
	})
}

func TestEmptyListFirst(t *testing.T) {
	play(t, follow.Follower{}, 1, func(s *scene) {
		s.complete(0, true)
		s.deliver()
		s.want("0s ")
	})
}

// A list that lacks those who have not been surveyed yet takes out backends
// that work.
func TestWaitsForCompleteLists(t *testing.T) {
	t.Run("which comes without a change", func(t *testing.T) {
		play(t, follow.Follower{Timeout: time.Second}, 1, func(s *scene) {
			s.deliver("a")
			s.at(5 * time.Second) // above the timeout: there is no complete list
			s.want()
			s.complete(0, true)
			s.at(6 * time.Second)
			s.want("5.01s a")
		})
	})
	t.Run("of all servers", func(t *testing.T) {
		play(t, follow.Follower{Timeout: time.Second}, 2, func(s *scene) {
			s.deliver("a")
			s.complete(1, true)
			s.at(500 * ms)
			s.want()
			s.deliver("a", "b")
			s.complete(0, true)
			s.at(time.Second)
			s.want("500ms ab")
		})
	})
	t.Run("of one that is there", func(t *testing.T) {
		play(t, follow.Follower{Timeout: time.Second}, 2, func(s *scene) {
			s.deliver("a")
			s.complete(1, true)
			s.at(999 * ms)
			s.want()
			s.at(time.Minute)
			s.want("1s a")
		})
	})
	t.Run("the first time only", func(t *testing.T) {
		play(t, follow.Follower{Timeout: time.Second}, 1, func(s *scene) {
			s.complete(0, true)
			s.deliver("a")
			s.want("0s a")
			s.complete(0, false) // the subscriber delivers nothing that is incomplete from now on
			s.at(10 * ms)
			s.deliver("b")
			s.want("0s a", "10ms b")
		})
	})
}

func TestQuiet(t *testing.T) {
	f := follow.Follower{Quiet: follow.Quiet{For: 100 * ms, AtMost: 300 * ms}}
	t.Run("after the last change", func(t *testing.T) {
		play(t, f, 1, func(s *scene) {
			s.complete(0, true)
			s.deliver("a")
			s.at(90 * ms)
			s.deliver("b")
			s.at(180 * ms)
			s.deliver("c")
			s.at(time.Second)
			s.want("280ms c")
			s.deliver("d")
			s.at(2 * time.Second)
			s.want("280ms c", "1.1s d")
		})
	})
	t.Run("at most", func(t *testing.T) {
		play(t, f, 1, func(s *scene) {
			s.complete(0, true)
			for i := range 10 {
				s.at(time.Duration(i) * 40 * ms)
				s.deliver(fmt.Sprint(i))
			}
			s.at(time.Second)
			s.want("300ms 7", "460ms 9")
		})
	})
	t.Run("there and back", func(t *testing.T) {
		play(t, f, 1, func(s *scene) {
			s.complete(0, true)
			s.deliver("a")
			s.at(time.Second)
			s.deliver("b")
			s.at(1050 * ms)
			s.deliver("a")
			s.at(2 * time.Second)
			s.want("100ms a")
		})
	})
	// The other names come and go.
	t.Run("of the names that match", func(t *testing.T) {
		play(t, f, 1, func(s *scene) {
			s.complete(0, true)
			for i := range 10 {
				s.at(time.Duration(i) * 40 * ms)
				s.deliver("a")
			}
			s.want("100ms a")
			s.deliver("b")
			for i := range 10 {
				s.at(time.Second + time.Duration(i)*40*ms)
				s.deliver("b")
			}
			s.want("100ms a", "460ms b")
		})
	})
	t.Run("of a list that has come out of the channel late", func(t *testing.T) {
		play(t, f, 1, func(s *scene) {
			s.complete(0, true)
			s.deliver("a")
			s.at(50 * ms)
			s.subscription.mu.Lock()
			s.list = []string{"b"}
			s.subscription.mu.Unlock()
			s.at(150 * ms)
			s.deliver("a")
			s.at(time.Second)
			s.want("100ms b", "250ms a")
		})
	})
	t.Run("counts while the list is incomplete", func(t *testing.T) {
		play(t, f, 1, func(s *scene) {
			s.deliver("a")
			s.at(time.Second)
			s.complete(0, true)
			s.at(2 * time.Second)
			s.want("1.01s a")
		})
	})
}

func TestChangesWhileItActs(t *testing.T) {
	play(t, follow.Follower{}, 1, func(s *scene) {
		s.takes = time.Second
		s.complete(0, true)
		s.deliver("a")
		s.at(100 * ms)
		s.deliver("b")
		s.at(200 * ms)
		s.deliver("c")
		s.at(1500 * ms)
		s.deliver("d")
		s.at(1600 * ms)
		s.deliver("c")
		s.at(time.Minute)
		s.want("0s a", "1s c") // and the last one is c again
	})
}

// A list that has come meanwhile is left for the next start.
func TestNothingBeginsAfterTheEnd(t *testing.T) {
	play(t, follow.Follower{}, 1, func(s *scene) {
		s.takes = time.Second
		s.complete(0, true)
		s.deliver("a")
		s.at(500 * ms)
		s.deliver("b")
		s.end()
		s.at(time.Minute)
		s.want("0s a")
	})
}

func TestActsAgainAfterFailure(t *testing.T) {
	play(t, follow.Follower{}, 1, func(s *scene) {
		s.fails.Store(true)
		s.complete(0, true)
		s.deliver("a")
		s.at(10 * time.Second)
		s.want("0s a", "1s a", "3s a", "7s a")
		s.deliver("b") // a change is a good time, too
		s.at(12 * time.Second)
		s.want("0s a", "1s a", "3s a", "7s a", "10s b")
		s.fails.Store(false)
		s.at(time.Hour)
		s.want("0s a", "1s a", "3s a", "7s a", "10s b", "26s b")
		s.fails.Store(true)
		s.deliver("c")
		s.at(time.Hour + 2*time.Second) // the pauses begin anew
		s.want("0s a", "1s a", "3s a", "7s a", "10s b", "26s b", "1h0m0s c", "1h0m1s c")
		s.at(24 * time.Hour)
		acts := s.acted()
		if last, want := acts[len(acts)-2:], "5m0s"; between(s.t, last[0], last[1]).String() != want {
			s.t.Errorf("acted at %q, want pauses of %s", last, want)
		}
	})
}

// between returns the time between two calls.
func between(t *testing.T, first, second string) time.Duration {
	t.Helper()
	var times [2]time.Duration
	for i, act := range []string{first, second} {
		text, _, _ := strings.Cut(act, " ")
		var err error
		if times[i], err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	return times[1] - times[0]
}

func TestEndsBeforeTheFirstList(t *testing.T) {
	play(t, follow.Follower{}, 1, func(s *scene) { s.at(time.Minute) })
}

func TestActsAgainWhenAsked(t *testing.T) {
	play(t, follow.Follower{Quiet: follow.Quiet{For: time.Second, AtMost: time.Second}}, 1, func(s *scene) {
		s.again <- struct{}{} // there is no list yet
		s.deliver("a")
		s.at(time.Minute)
		s.want()
		s.complete(0, true)
		s.at(2 * time.Minute)
		s.want("1m0.01s a")
		s.again <- struct{}{}
		s.want("1m0.01s a", "2m0s a")
		s.at(3 * time.Minute)
		s.want("1m0.01s a", "2m0s a")
	})
}
