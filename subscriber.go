package gopherdiscovery

import (
	"fmt"
	"slices"
	"sync"

	"go.nanomsg.org/mangos/v3"
	"golang.org/x/net/context" //lint:ignore SA1019 the library's signatures have always named it; it is an alias of the standard one
)

// Subscriber receives the list of those who are alive without being in it. Its methods may be called concurrently.
type Subscriber struct {
	sock    *socket
	changes chan []string
	wake    chan struct{}
	cancel  context.CancelFunc
	done    chan struct{}

	mu     sync.Mutex // guards the fields below
	server *pipe      // the connected server
	newest []string   // its list; nil before the first
}

// NewSubscriber subscribes to the list that a server publishes on url, until ctx ends or Close. It is
// Dialer.NewSubscriber with the zero Dialer.
func NewSubscriber(ctx context.Context, url string) (*Subscriber, error) {
	return new(Dialer).NewSubscriber(ctx, url)
}

// NewSubscriber subscribes to the list that a server publishes on url, until ctx ends or Close. The server need not be
// there yet: the subscriber connects in the background, and again whenever the connection is lost. The errors match ErrInvalidURL
// or ErrInvalidArgument.
func (d *Dialer) NewSubscriber(ctx context.Context, url string) (*Subscriber, error) {
	if err := checkContext(ctx); err != nil {
		return nil, err
	}
	pubsub, err := d.parse("url", url)
	if err != nil {
		return nil, err
	}
	return d.subscribe(ctx, pubsub)
}

func (d *Dialer) subscribe(ctx context.Context, pubsub address) (*Subscriber, error) {
	s := &Subscriber{
		changes: make(chan []string, 1),
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	s.sock = newSocket(role{
		info: mangos.ProtocolInfo{
			Self: mangos.ProtoSub, SelfName: "sub",
			Peer: mangos.ProtoPub, PeerName: "pub",
		},
		limit:    maxListLen,
		attached: s.attached,
		received: s.received,
	}, d.settings())
	if err := s.sock.dial(pubsub); err != nil {
		s.sock.close()
		return nil, fmt.Errorf("gopherdiscovery: dial %s: %w", pubsub, err)
	}
	ctx, s.cancel = context.WithCancel(ctx)
	go s.run(ctx)
	return s, nil
}

// Changes returns the channel of lists, the same one at each call; see DiscoveryClient.Peers for what comes out of it.
// It is closed when the subscriber ends.
func (s *Subscriber) Changes() chan []string { return s.changes }

// Wait returns when the subscriber has ended, which it does with its context or by Close: all it has started is gone, but
// for goroutines of mangos that are about to return.
func (s *Subscriber) Wait() { <-s.done }

// Close ends the subscriber and waits for it. It may be called more than once, and always returns nil.
func (s *Subscriber) Close() error {
	s.cancel()
	s.Wait()
	return nil
}

func (s *Subscriber) attached(p *pipe) {
	s.mu.Lock()
	s.server = p
	s.mu.Unlock()
}

// received takes a list. A connection that has been replaced may still bring one, which is older than what its successor brings.
func (s *Subscriber) received(p *pipe, body []byte) {
	list, invalid := decodeList(body)
	if invalid > 0 {
		p.report("invalid names left out of a list", "names", invalid)
		if len(list) == 0 {
			return // whatever that was, it does not say that nobody is left
		}
	}
	s.mu.Lock()
	current := p == s.server
	if current {
		s.newest = list
	}
	s.mu.Unlock()
	if current {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// run is the only sender on the channel, and so the one to close it.
func (s *Subscriber) run(ctx context.Context) {
	defer close(s.done)
	defer close(s.changes)
	defer s.sock.close()
	defer s.cancel()
	var out delivery
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		s.mu.Lock()
		list := s.newest
		s.mu.Unlock()
		out.deliver(s.changes, list)
	}
}

// delivery is what the sender on a channel with room for one list knows about it.
type delivery struct {
	taken []string // the last list that was received from the channel; nil before the first
	sent  []string // the last list that was put there; nil when it was taken back
}

// deliver puts a list into the channel in place of one that waits there, unless it equals what the receiver has.
func (d *delivery) deliver(changes chan []string, list []string) {
	select {
	case <-changes:
	default:
		if d.sent != nil {
			d.taken = d.sent
		}
	}
	d.sent = nil
	if d.taken != nil && slices.Equal(d.taken, list) {
		return
	}
	d.sent = list
	changes <- slices.Clone(list)
}
