package gopherdiscovery

import (
	"slices"
	"sync"
	"time"

	"go.nanomsg.org/mangos/v3"
	"golang.org/x/net/context" //lint:ignore SA1019 the library's signatures have always named it; it is an alias of the standard one
)

// haltAfter is how late a subscriber notices that a server is overdue before it takes itself for the one that did not run.
const haltAfter = 100 * time.Millisecond

// Subscriber receives the list of those who are alive without being in it. Its methods may be called concurrently.
type Subscriber struct {
	sock    *socket
	log     *asyncLog // nil when it is a client's
	changes chan []string
	wake    chan struct{}
	cancel  context.CancelFunc
	done    chan struct{}

	mu      sync.Mutex // guards the fields below
	view    *view
	armed   time.Time // when run looks again by itself; zero for never
	list    []string  // delivered last
	servers []ServerState
}

// ServerState tells what a subscriber knows of one of its servers.
type ServerState struct {
	// URL is the server's pub/sub URL.
	URL string

	// Connected tells whether the server can be reached now.
	Connected bool

	// Heard is when it sent a list last, changed or not; zero if never. A server repeats its list every Options.PollTime,
	// a very long one for very many subscribers less often. Servers of 2015 send changes only.
	Heard time.Time
}

// NewSubscriber subscribes to the list that a server publishes on url, until ctx ends or Close. It is
// Dialer.NewSubscriber with the zero Dialer.
func NewSubscriber(ctx context.Context, url string) (*Subscriber, error) {
	return new(Dialer).NewSubscriber(ctx, url)
}

// NewSubscriber subscribes to the list that a server publishes on url, until ctx ends or Close. The server need not be
// there yet: the subscriber connects in the background, and again whenever the connection is lost.
//
// Several URLs may be given, separated by commas. What is delivered is the union of the newest lists of the servers that are
// connected. A server that has fallen silent although it repeats its list is disconnected, and then connected again if it
// answers. The errors match ErrInvalidURL or ErrInvalidArgument.
func (d *Dialer) NewSubscriber(ctx context.Context, url string) (*Subscriber, error) {
	if err := checkContext(ctx); err != nil {
		return nil, err
	}
	pubsubs, err := d.parse("url", url)
	if err != nil {
		return nil, err
	}
	set := d.settings()
	s, err := newSubscriber(pubsubs, set)
	if err != nil {
		return nil, err
	}
	s.log = set.log
	s.start(ctx)
	return s, nil
}

func newSubscriber(pubsubs []address, set settings) (*Subscriber, error) {
	s := &Subscriber{
		changes: make(chan []string, 1),
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
		view:    newView(),
	}
	for _, a := range pubsubs {
		s.servers = append(s.servers, ServerState{URL: a.String()})
	}
	s.sock = newSocket(role{
		info: mangos.ProtocolInfo{
			Self: mangos.ProtoSub, SelfName: "sub",
			Peer: mangos.ProtoPub, PeerName: "pub",
		},
		lost:     "no server is connected, the last list stands",
		found:    "a server is connected again",
		limit:    maxListLen,
		attached: s.attached,
		received: s.received,
		detached: s.detached,
	}, set)
	if err := s.sock.dialAll(pubsubs); err != nil {
		s.sock.close()
		return nil, err
	}
	return s, nil
}

func (s *Subscriber) start(ctx context.Context) {
	ctx, s.cancel = context.WithCancel(ctx)
	go s.run(ctx)
}

// Changes returns the channel of lists, the same one at each call; see [DiscoveryClient.Peers] for what comes out of it.
// It is for one reader, who must neither send on it nor close it: it is closed when the subscriber ends.
func (s *Subscriber) Changes() chan []string { return s.changes }

// List returns the list that was delivered last, whether or not it has been received, and nil before the first. Calling it
// takes nothing from the channel of lists. The slice is the caller's.
func (s *Subscriber) List() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}

// Cancel makes the subscriber end and returns at once. It may be called more than once and from anywhere.
func (s *Subscriber) Cancel() { s.cancel() }

// Wait returns when the subscriber has ended, which it does with its context or by Cancel or Close: all it has started is gone,
// but for goroutines of mangos that are about to return.
func (s *Subscriber) Wait() { <-s.done }

// Close cancels the subscriber and waits for its end. It may be called more than once, and always returns nil.
func (s *Subscriber) Close() error {
	s.Cancel()
	s.Wait()
	return nil
}

// Servers tells which servers are connected and when they were heard, in the order of their URLs, for health checks.
func (s *Subscriber) Servers() []ServerState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.servers)
}

func (s *Subscriber) attached(p *pipe) {
	s.change(func() {
		s.view.connect(p)
		s.stateLocked(p).Connected = true
	})
}

func (s *Subscriber) detached(p *pipe) {
	s.change(func() {
		s.view.disconnect(p)
		s.stateLocked(p).Connected = false
	})
}

// change changes the view and lets run look at it.
func (s *Subscriber) change(do func()) {
	s.mu.Lock()
	do()
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// stateLocked returns the state of the server at the other end of p. Should none have that URL, it is one that nobody sees.
func (s *Subscriber) stateLocked(p *pipe) *ServerState {
	url := p.url()
	for i := range s.servers {
		if s.servers[i].URL == url {
			return &s.servers[i]
		}
	}
	return new(ServerState)
}

func (s *Subscriber) received(p *pipe, body []byte) {
	now := time.Now()
	if s.repeats(p, body, now) {
		return
	}
	list, invalid := decodeList(body)
	if invalid > 0 {
		p.report("invalid names left out of a list", "names", invalid)
		if len(list) == 0 {
			return // whatever that was, it does not say that nobody is left
		}
	}
	s.change(func() {
		s.view.hear(p, body, list, now)
		s.stateLocked(p).Heard = now
	})
}

// repeats takes a message that says what its connection has said before. It wakes run only when a deadline has come nearer: one
// that moves away is noticed when the old one passes.
func (s *Subscriber) repeats(p *pipe, body []byte, now time.Time) bool {
	s.mu.Lock()
	repeated := s.view.repeats(p, body, now)
	if repeated {
		s.stateLocked(p).Heard = now
	}
	due := s.view.deadline()
	wake := !due.IsZero() && (s.armed.IsZero() || due.Before(s.armed))
	s.mu.Unlock()
	if wake {
		s.change(func() {})
	}
	return repeated
}

// run is the only sender on the channel, and so the one to close it.
func (s *Subscriber) run(ctx context.Context) {
	defer close(s.done)
	defer close(s.changes)
	defer s.closeSocket()
	defer s.cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var out delivery
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
		list, overdue, deadline := s.look(time.Now())
		if list != nil {
			s.setList(list)
			out.deliver(s.changes, list)
		}
		for _, p := range overdue {
			s.sock.giveUp(p, errSilent)
		}
		if !deadline.IsZero() {
			timer.Reset(time.Until(deadline))
		}
	}
}

// setList is called before the list is delivered, so that whoever receives it finds it in List already.
func (s *Subscriber) setList(list []string) {
	s.mu.Lock()
	s.list = list
	s.mu.Unlock()
}

func (s *Subscriber) closeSocket() {
	s.sock.close()
	if s.log != nil {
		s.log.close()
	}
}

// look returns the list that is known, nil if none is, which servers are overdue, and when the next is.
func (s *Subscriber) look(now time.Time) (list []string, overdue []*pipe, deadline time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if late := now.Sub(s.armed); !s.armed.IsZero() && late > haltAfter {
		s.view.excuse(late + haltAfter)
	}
	s.armed = s.view.deadline()
	return s.view.union(), s.view.overdue(now), s.armed
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
