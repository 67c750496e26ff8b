// Package follow acts on the lists of a subscription: on complete ones only,
// when they have been quiet for a while, and again after a failure.
package follow

import (
	"cmp"
	"context"
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

// Run returns when the subscription or ctx ends. A call of Act is not
// interrupted, and none begins after the end of ctx.
func (f Follower) Run(ctx context.Context, sub Subscription) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	begin, complete := time.Now(), false // complete as far as that is waited for
	p := pending{Follower: f}
	for {
		e := f.wait(ctx, sub, timer.C)
		if e == ended {
			return
		}
		// It is at least as new as what has come out of the channel.
		list, now := sub.List(), time.Now()
		switch e {
		case listed:
			p.change(list, now)
		case asked:
			p.acted, p.due = nil, now
		}
		complete = complete || list != nil && areComplete(sub.Servers(), now.Sub(begin) >= f.Timeout)
		if complete && p.isDue(now) {
			p.act(list)
		}
		switch {
		case !complete:
			timer.Reset(glance)
		case !p.due.IsZero():
			timer.Reset(time.Until(p.due))
		}
	}
}

// event is what a Follower waits for.
type event int

const (
	timed  event = iota // the timer
	listed              // a list has come
	asked               // Again
	ended               // the subscription or the context
)

func (f Follower) wait(ctx context.Context, sub Subscription, timer <-chan time.Time) (e event) {
	select {
	case _, ok := <-sub.Changes():
		if !ok {
			return ended
		}
		e = listed
	case <-f.Again:
		e = asked
	case <-timer:
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return ended
	}
	return e
}

// pending is what the lists have left to do, and when.
type pending struct {
	Follower
	seen  []string      // the last list that was looked at; nil before the first
	first time.Time     // change that was not acted on; zero if there is none
	due   time.Time     // when to act on that, or again; zero for never
	acted []string      // the list of the last call; nil before the first
	pause time.Duration // after the last call, which has failed; zero if it has not
}

// change records that a list has come. The quiet time begins with one that was
// not acted on, and anew with each one after it that differs from the one
// before. Names that do not match may change without that.
func (p *pending) change(list []string, now time.Time) {
	if p.seen != nil && slices.Equal(p.seen, list) {
		return
	}
	p.seen = list
	if !p.first.IsZero() || p.acted == nil || !slices.Equal(p.acted, list) {
		p.first = cmp.Or(p.first, now)
		p.due = p.Quiet.due(p.first, now)
	}
}

func (p *pending) isDue(now time.Time) bool { return !p.due.IsZero() && !now.Before(p.due) }

// act acts on a list, unless it is the last one again and that went well.
func (p *pending) act(list []string) {
	p.seen, p.first, p.due = list, time.Time{}, time.Time{}
	if p.acted != nil && p.pause == 0 && slices.Equal(p.acted, list) {
		return
	}
	if p.acted = list; !p.Act(list) {
		p.pause = 0
		return
	}
	p.pause = min(max(2*p.pause, firstPause), lastPause)
	p.due = time.Now().Add(p.pause)
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
