package gopherdiscovery

import (
	"fmt"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sp"
	"github.com/dahernan/gopherdiscovery/internal/wire"

	//lint:ignore SA1019 an alias of context, in the signatures since 2015
	"golang.org/x/net/context"
)

// A DiscoveryClient keeps a service on the list of live peers until it is
// canceled or closed. Create one with [Client], [ClientWithSub] or the methods
// of [Dialer]. Its methods may be called concurrently.
type DiscoveryClient struct {
	service string
	sock    *sp.Socket
	sub     *Subscriber // nil without a subscription
	log     *sp.Log
	cancel  context.CancelFunc
	done    chan struct{}

	announcers []*announcer // of the servers, in the order of the URLs
}

// newClient starts a client. If pubsubs is nil, it has no subscription.
func newClient(ctx context.Context, surveys, pubsubs []sp.Address, service string, set sp.Settings) (_ *DiscoveryClient, err error) {
	if err := checkContext(ctx); err != nil {
		return nil, err
	}
	if reason := wire.CheckName(service); reason != nil {
		return nil, fmt.Errorf("%w: service %.100q: %w", ErrInvalidService, service, reason)
	}
	c := &DiscoveryClient{service: service, log: set.Log, done: make(chan struct{})}
	ctx, c.cancel = context.WithCancel(ctx)
	surveyed := set
	surveyed.Found = "the server is reached again"
	c.sock = sp.NewSocket(sp.Respondent, surveyed, c.open)
	for _, a := range surveys {
		c.announcers = append(c.announcers, newAnnouncer(c, a))
	}
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
	if ctx.Err() != nil {
		c.leave() // before it could connect, since run may be late
	}
	for _, a := range c.announcers {
		if err = a.start(); err != nil {
			return nil, err
		}
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
// The first list comes when a server is connected. While that server starts, it
// comes when no more clients are coming in, after about a second at the latest,
// so that it has all clients that start together. At other times it may lack
// the client itself, if it was published before the client joined. While no
// server can be reached, nothing is delivered, and the last list remains valid.
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

// Servers returns the state of each server, in the order of the URLs: first of
// the pub/sub URLs, if the client has a subscription, like
// [Subscriber.Servers], and then of the survey URLs. It is meant for health
// checks. A server knows the client if its survey URL is Complete and Surveyed
// is recent. The slice belongs to the caller.
func (c *DiscoveryClient) Servers() (states []ServerState) {
	if c.sub != nil {
		states = c.sub.Servers()
	}
	for _, a := range c.announcers {
		states = append(states, a.state())
	}
	return states
}

// Cancel ends the client without waiting for it. The client says goodbye to its
// servers, and its service leaves the list at once, unless another client
// announces the same name. Cancel never blocks, and may be called more than
// once.
func (c *DiscoveryClient) Cancel() { c.cancel() }

// Wait blocks until the client has ended. Then its connections are closed and
// its goroutines have ended, except for goroutines of mangos that are about to
// return, the callbacks of [Dialer.TLSConfig] that have not returned within
// half a second, calls of [Dialer.Logger] that have not returned within a
// further half second, and lookups of a host name, which package net does not
// interrupt.
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
	c.leave()
	c.sock.End()
	if c.sub != nil {
		c.sub.Wait()
	}
	c.log.Close()
	close(c.done)
}

// leave says goodbye to the servers. It returns when they have read that and
// closed the connections, or after goodbyeTime.
func (c *DiscoveryClient) leave() {
	var leaving []*registration
	for _, a := range c.announcers {
		leaving = append(leaving, a.leave()...)
	}
	late := time.After(goodbyeTime)
	for _, r := range leaving {
		select {
		case <-r.pipe.Done():
		case <-late:
			return
		}
	}
}

// open returns the session for a new connection to a server.
func (c *DiscoveryClient) open(p *sp.Pipe) sp.Session {
	for _, a := range c.announcers {
		if r := a.open(p); r != nil {
			return r
		}
	}
	return nil
}
