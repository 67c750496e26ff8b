// Package follow acts on the lists of a subscription: on complete ones only,
// when they have been quiet for a while, and again after a failure.
package follow

import (
	"slices"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

const (
	// glance is how often the servers are asked whether their lists are
	// complete, until they are. That is not announced.
	glance = 10 * time.Millisecond

	// A failed action is repeated after a pause that doubles from the first
	// one to the last.
	firstPause = time.Second
	lastPause  = 5 * time.Minute
)

// Subscription is what [gopherdiscovery.Subscriber] is.
type Subscription interface {
	Changes() chan []string
	List() []string
	Servers() []gopherdiscovery.ServerState
}

// Follower calls a function with the lists of a subscription. Some lists may
// be skipped, the newest never is.
type Follower struct {
	// Act is called with each list, one call at a time. It is called again
	// with the newest list, after a pause or when that changes, if it returns
	// true.
	Act func(list []string) (again bool)

	// Again, if not nil, makes Act be called with the newest list, whether that
	// has changed or not.
	Again <-chan struct{}

	// Quiet is how long lists wait.
	Quiet Quiet

	// Timeout is how long the first call waits for the servers whose list is
	// not complete, if there is one that is. Without any it waits on.
	Timeout time.Duration
}

// Run returns when the subscription ends. A call of Act is not interrupted.
func (f Follower) Run(sub Subscription) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var (
		begin    = time.Now()
		complete bool          // as far as that is waited for
		first    time.Time     // change that was not acted on; zero if there is none
		due      time.Time     // when to act on that, or again; zero for never
		acted    []string      // the last list; nil before the first
		pause    time.Duration // after the last call, which has failed; zero if it has not
	)
	for {
		changed := false
		select {
		case _, ok := <-sub.Changes():
			if !ok {
				return
			}
			changed = true
		case <-f.Again:
			acted, due = nil, time.Now()
		case <-timer.C:
		}
		// It is at least as new as what has come out of the channel.
		list, now := sub.List(), time.Now()
		if !complete {
			complete = list != nil && areComplete(sub.Servers(), now.Sub(begin) >= f.Timeout)
		}
		if changed && (!first.IsZero() || acted == nil || !slices.Equal(acted, list)) {
			if first.IsZero() {
				first = now
			}
			due = f.Quiet.due(first, now)
		}
		switch wait := due.Sub(now); {
		case !complete:
			timer.Reset(glance)
			continue
		case due.IsZero():
			continue
		case wait > 0:
			timer.Reset(wait)
			continue
		}
		first, due = time.Time{}, time.Time{}
		if acted != nil && pause == 0 && slices.Equal(acted, list) {
			continue
		}
		if acted = list; !f.Act(list) {
			pause = 0
			continue
		}
		pause = min(max(2*pause, firstPause), lastPause)
		due = time.Now().Add(pause)
		timer.Reset(pause)
	}
}

// areComplete reports whether the lists of all servers are complete. If that
// takes too long one of them is enough.
func areComplete(servers []gopherdiscovery.ServerState, tooLong bool) bool {
	isComplete := func(s gopherdiscovery.ServerState) bool { return s.Complete }
	if tooLong {
		return slices.ContainsFunc(servers, isComplete)
	}
	return !slices.ContainsFunc(servers, func(s gopherdiscovery.ServerState) bool { return !s.Complete })
}
