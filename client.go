package gopherdiscovery

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/net/context" //lint:ignore SA1019 the library's signatures have always named it; it is an alias of the standard one
)

// DiscoveryClient keeps a service in the list of those who are alive, for as long as it is neither cancelled nor closed. Its
// methods may be called concurrently.
type DiscoveryClient struct {
	service string
	sock    *socket
	sub     *Subscriber // nil without a subscription
	log     *asyncLog
	cancel  context.CancelFunc
	done    chan struct{}

	mu     sync.Mutex        // guards the fields below, and the connections' own
	pulses map[string]*pulse // of the servers, by URL
}

// newClient makes a client with a subscription, or without if pubsubs is nil.
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

// Peers returns the channel of lists, the same one at each call. It has room for one list: while that waits to be read,
// a newer one takes its place. Each list is sorted and without duplicates, differs from the one received before, and is the
// receiver's to keep; an empty one says that nobody is left. The first comes as soon as a server is connected that
// knows anyone, or has surveyed everyone. It may be older than the client's
// own join, and lack the client. While no server can be reached the last list
// stands.
//
// The channel is for one reader, who must neither send on it nor close it: it is closed when the client ends. The error of a
// client without a subscription is ErrNoSubscriber.
func (c *DiscoveryClient) Peers() (chan []string, error) {
	if c.sub == nil {
		return nil, ErrNoSubscriber
	}
	return c.sub.Changes(), nil
}

// List is [Subscriber.List] of the client's subscription; it is nil without one.
func (c *DiscoveryClient) List() []string {
	if c.sub == nil {
		return nil
	}
	return c.sub.List()
}

// Servers is [Subscriber.Servers] of the client's subscription; it is nil without one.
func (c *DiscoveryClient) Servers() []ServerState {
	if c.sub == nil {
		return nil
	}
	return c.sub.Servers()
}

// Cancel makes the client leave and returns at once. It may be called more than once and from anywhere.
func (c *DiscoveryClient) Cancel() { c.cancel() }

// Wait returns when the client has ended: it has left and all it has started is gone, but for goroutines of mangos that are
// about to return.
func (c *DiscoveryClient) Wait() { <-c.done }

// Close cancels the client and waits for its end. It may be called more than once, and always returns nil.
func (c *DiscoveryClient) Close() error {
	c.Cancel()
	c.Wait()
	return nil
}

func (c *DiscoveryClient) run(ctx context.Context) {
	<-ctx.Done()
	c.close()
}

// close is called once, when the client ends or cannot be made.
func (c *DiscoveryClient) close() {
	c.cancel()
	c.sock.close()
	if c.sub != nil {
		c.sub.Wait()
	}
	c.log.close()
	close(c.done)
}

// open makes an responder session with a server.
func (c *DiscoveryClient) open(p *pipe) session {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pulses[p.url] == nil {
		c.pulses[p.url] = new(pulse)
	}
	return &responder{client: c, pipe: p, pulse: c.pulses[p.url]}
}

// responder is a connection to a server that asks for the name.
type responder struct {
	client *DiscoveryClient
	pipe   *pipe

	// The client guards the fields below.
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
	_ = r.pipe.sendNow(append(header[:len(header):len(header)], r.client.service...)) // or the connection ends
	r.client.mu.Lock()
	defer r.client.mu.Unlock()
	if r.closed {
		return nil
	}
	now := time.Now()
	if now.Sub(r.fireAt) > peerHalt {
		r.pulse.excuse(now) // check has not, yet
	}
	r.pulse.beat(now)
	r.resetTimerLocked(now)
	return nil
}

// resetTimerLocked sets the timer to the time when the surveys have stayed away for
// too long.
func (r *responder) resetTimerLocked(now time.Time) {
	r.fireAt = r.pulse.due()
	r.timer.Reset(r.fireAt.Sub(now))
}

// check gives the connection up if its server is silent. If it was the client
// that did not run, or has not read what has come, it waits once more.
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
