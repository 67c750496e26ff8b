package gopherdiscovery

import (
	"fmt"
	"sync"
	"time"

	//lint:ignore SA1019 an alias of context, in the signatures since 2015
	"golang.org/x/net/context"
)

// A DiscoveryClient keeps a service on the list of live peers until it is
// canceled or closed. Create one with [Client], [ClientWithSub] or the methods
// of [Dialer]. Its methods may be called concurrently.
type DiscoveryClient struct {
	service string
	sock    *socket
	sub     *Subscriber // nil without a subscription
	log     *asyncLog
	cancel  context.CancelFunc
	done    chan struct{}

	mu     sync.Mutex        // guards the fields below and fields of responders
	pulses map[string]*pulse // of the servers, by URL
}

// newClient starts a client. If pubsubs is nil, it has no subscription.
func newClient(ctx context.Context, surveys, pubsubs []address, service string, set settings) (_ *DiscoveryClient, err error) {
	if err := checkContext(ctx); err != nil {
		return nil, err
	}
	if reason := checkService(service); reason != nil {
		return nil, fmt.Errorf("%w: service %.100q: %w", ErrInvalidService, service, reason)
	}
	c := &DiscoveryClient{service: service, log: set.log, done: make(chan struct{}), pulses: make(map[string]*pulse)}
	ctx, c.cancel = context.WithCancel(ctx)
	surveyed := set
	surveyed.found = "the server is reached again"
	c.sock = newSocket(respondentSide, surveyed, c)
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if pubsubs != nil {
		if c.sub, err = newSubscriber(pubsubs, set); err != nil {
			return nil, err
		}
		c.sub.start(ctx)
	}
	if err = c.sock.dialAll(surveys); err != nil {
		return nil, err
	}
	go c.run(ctx)
	return c, nil
}

// Peers returns the channel on which lists are delivered. Each call returns the
// same channel. The channel holds one list; a newer list replaces one that has
// not been received yet. Each list is sorted and without duplicates, differs
// from the list received before, and belongs to the receiver. An empty list
// means that no peer is left.
//
// The first list comes as soon as a server is connected that knows any peer or
// has surveyed all of them. It may lack the client itself, if it is older than
// the client's join. While no server can be reached, nothing is delivered, and
// the last list remains valid.
//
// The channel is for one reader, which must neither send on it nor close it. It
// is closed when the client ends. If the client has no subscription, Peers
// returns [ErrNoSubscriber].
func (c *DiscoveryClient) Peers() (chan []string, error) {
	if c.sub == nil {
		return nil, ErrNoSubscriber
	}
	return c.sub.Changes(), nil
}

// List returns the list that was last delivered, like [Subscriber.List]. It
// returns nil if the client has no subscription.
func (c *DiscoveryClient) List() []string {
	if c.sub == nil {
		return nil
	}
	return c.sub.List()
}

// Servers returns the state of each server, like [Subscriber.Servers]. It
// returns nil if the client has no subscription.
func (c *DiscoveryClient) Servers() []ServerState {
	if c.sub == nil {
		return nil
	}
	return c.sub.Servers()
}

// Cancel ends the client without waiting for it. Its service leaves the list,
// unless another client announces the same name. Cancel never blocks, and may
// be called more than once.
func (c *DiscoveryClient) Cancel() { c.cancel() }

// Wait blocks until the client has ended. Then its connections are closed and
// its goroutines have ended, except for goroutines of mangos that are about to
// return and calls of [Dialer.Logger] that have not returned within half a
// second.
func (c *DiscoveryClient) Wait() { <-c.done }

// Close ends the client and waits for it, like Cancel followed by Wait. It may
// be called more than once, and always returns nil.
func (c *DiscoveryClient) Close() error {
	c.Cancel()
	c.Wait()
	return nil
}

func (c *DiscoveryClient) run(ctx context.Context) {
	<-ctx.Done()
	c.close()
}

// close is called once, when the client ends or newClient fails.
func (c *DiscoveryClient) close() {
	c.cancel()
	c.sock.close()
	if c.sub != nil {
		c.sub.Wait()
	}
	c.log.close()
	close(c.done)
}

// open returns the session for a new connection to a server.
func (c *DiscoveryClient) open(p *pipe) session {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pulses[p.url] == nil {
		c.pulses[p.url] = new(pulse)
	}
	return &responder{client: c, pipe: p, pulse: c.pulses[p.url]}
}

// responder is the session with a server that surveys the client.
type responder struct {
	client *DiscoveryClient
	pipe   *pipe

	// The fields below are guarded by client.mu.
	pulse  *pulse    // of the server
	fireAt time.Time // when timer fires
	timer  *time.Timer
	closed bool
}

func (r *responder) began() {
	r.client.mu.Lock()
	defer r.client.mu.Unlock()
	now := time.Now()
	r.pulse.begin(now)
	r.fireAt = r.pulse.due()
	r.timer = time.AfterFunc(r.fireAt.Sub(now), r.check)
}

func (r *responder) received(survey []byte) error {
	header, _, err := splitBacktrace(survey)
	if err != nil {
		r.pipe.report("survey dropped", "error", err)
		return nil
	}
	// If this fails, the connection ends.
	_ = r.pipe.sendNow(append(header[:len(header):len(header)], r.client.service...))
	r.client.mu.Lock()
	defer r.client.mu.Unlock()
	if r.closed {
		return nil
	}
	now := time.Now()
	if now.Sub(r.fireAt) > peerHalt {
		r.pulse.excuse(now) // check has not run yet
	}
	r.pulse.surveyed(now)
	r.resetTimerLocked(now)
	return nil
}

// resetTimerLocked sets the timer to when the connection is to be given up if
// no survey comes.
func (r *responder) resetTimerLocked(now time.Time) {
	r.fireAt = r.pulse.due()
	r.timer.Reset(r.fireAt.Sub(now))
}

// check gives up the connection if its server is silent. If the client itself
// did not run or has not read what has come, check waits once more.
func (r *responder) check() {
	if r.isSilent() {
		r.pipe.giveUp(errSilent)
	}
}

func (r *responder) isSilent() bool {
	r.client.mu.Lock()
	defer r.client.mu.Unlock()
	now := time.Now()
	late := now.Sub(r.fireAt)
	switch {
	case r.closed || late < 0:
		return false
	case late > peerHalt || r.pipe.isBehind():
		r.pulse.excuse(now)
		r.resetTimerLocked(now)
		return false
	}
	r.pulse.giveUp()
	return true
}

func (r *responder) say() []byte { return nil }

func (r *responder) ended() {
	r.client.mu.Lock()
	defer r.client.mu.Unlock()
	r.closed = true
	r.timer.Stop()
}
