package gopherdiscovery

import (
	"errors"
	"fmt"

	"go.nanomsg.org/mangos/v3"
	"golang.org/x/net/context" //lint:ignore SA1019 the library's signatures have always named it; it is an alias of the standard one
)

// ErrNoSubscriber is what Peers returns for a client that was made without a subscription.
var ErrNoSubscriber = errors.New("gopherdiscovery: the client has no subscription, see ClientWithSub")

// DiscoveryClient keeps a service in the list of those who are alive, for as long as it is neither cancelled nor closed. Its
// methods may be called concurrently.
type DiscoveryClient struct {
	service string
	sock    *socket
	sub     *Subscriber // nil without a subscription
	log     *asyncLog
	cancel  context.CancelFunc
	done    chan struct{}
}

// Client announces service at the server that surveys on urlServer. It is Dialer.Client with the zero Dialer and a context
// that never ends.
func Client(urlServer, service string) (*DiscoveryClient, error) {
	return new(Dialer).Client(context.Background(), urlServer, service)
}

// ClientWithSub is like Client and also subscribes to the list on urlPubSub, see Peers.
func ClientWithSub(urlServer, urlPubSub, service string) (*DiscoveryClient, error) {
	return new(Dialer).ClientWithSub(context.Background(), urlServer, urlPubSub, service)
}

// Client announces service at the server that surveys on urlServer, until Cancel, Close or the end of ctx. The server need not be
// there yet: the client connects in the background, and again whenever the connection is lost.
//
// A service name is valid UTF-8 of 1 to 512 bytes without control characters and "|". Clients may share one: it is in
// the list until the last of them has left.
//
// Several URLs may be given, separated by commas: the client announces itself at each of the servers. The errors match ErrInvalidURL, ErrInvalidService or ErrInvalidArgument.
func (d *Dialer) Client(ctx context.Context, urlServer, service string) (*DiscoveryClient, error) {
	surveys, err := d.parse("urlServer", urlServer)
	if err != nil {
		return nil, err
	}
	return d.client(ctx, surveys, nil, service)
}

// ClientWithSub is like Client and also subscribes to the list on urlPubSub, see Peers.
func (d *Dialer) ClientWithSub(ctx context.Context, urlServer, urlPubSub, service string) (*DiscoveryClient, error) {
	surveys, err := d.parse("urlServer", urlServer)
	if err != nil {
		return nil, err
	}
	pubsubs, err := d.parse("urlPubSub", urlPubSub)
	if err != nil {
		return nil, err
	}
	if err := checkDistinct(surveys, pubsubs); err != nil {
		return nil, err
	}
	return d.client(ctx, surveys, pubsubs, service)
}

func (d *Dialer) client(ctx context.Context, surveys, pubsubs []address, service string) (_ *DiscoveryClient, err error) {
	if err := checkContext(ctx); err != nil {
		return nil, err
	}
	if reason := checkService(service); reason != nil {
		return nil, fmt.Errorf("%w: service %.100q: %w", ErrInvalidService, service, reason)
	}
	set := d.settings()
	c := &DiscoveryClient{service: service, log: set.log, done: make(chan struct{})}
	ctx, c.cancel = context.WithCancel(ctx)
	c.sock = newSocket(role{
		info: mangos.ProtocolInfo{
			Self: mangos.ProtoRespondent, SelfName: "respondent",
			Peer: mangos.ProtoSurveyor, PeerName: "surveyor",
		},
		found:    "the server is reached again",
		limit:    maxSurveyLen,
		received: c.answer,
	}, set)
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
// receiver's to keep; an empty one says that nobody is left. The first comes as soon as a server is connected that has
// published one; it may be older than the client's own join, and lack the client. While no server can be reached the last list stands.
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

func (c *DiscoveryClient) answer(p *pipe, survey []byte) {
	header, _, err := splitBacktrace(survey)
	if err != nil {
		p.report("survey dropped", "error", err)
		return
	}
	_ = p.sendNow(append(header[:len(header):len(header)], c.service...))
}
