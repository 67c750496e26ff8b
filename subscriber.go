package gopherdiscovery

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/net/context" //lint:ignore SA1019 the library's signatures have always named it; it is an alias of the standard one
)

// Subscriber receives the list of those who are alive without being in it. Its methods may be called concurrently.
type Subscriber struct {
	sock    *socket
	log     *asyncLog // nil when it is a client's
	changes chan []string
	bell    bell // rings when the view has changed
	cancel  context.CancelFunc
	done    chan struct{}

	mu      sync.Mutex // guards the fields below
	view    *view[*following]
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

func newSubscriber(pubsubs []address, set settings) (*Subscriber, error) {
	s := &Subscriber{
		changes: make(chan []string, 1),
		bell:    newBell(),
		done:    make(chan struct{}),
		view:    newView[*following](),
	}
	for _, a := range pubsubs {
		s.servers = append(s.servers, ServerState{URL: a.String()})
	}
	set.lost = "no server is connected, the last list stands"
	set.found = "a server is connected again"
	s.sock = newSocket(subSide, set, s, false)
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

// open begins to follow a server.
func (s *Subscriber) open(p *pipe) session {
	f := &following{s, p}
	s.change(func() {
		s.view.connect(f)
		s.stateLocked(p).Connected = true
	})
	return f
}

// following is a connection to a server that sends lists.
type following struct {
	subscriber *Subscriber
	pipe       *pipe
}

func (f *following) received(body []byte) error {
	f.subscriber.received(f, body)
	return nil
}

func (f *following) ended() {
	s := f.subscriber
	s.change(func() {
		s.view.disconnect(f)
		s.stateLocked(f.pipe).Connected = false
	})
}

// change changes the view and lets run look at it.
func (s *Subscriber) change(do func()) {
	s.mu.Lock()
	do()
	s.mu.Unlock()
	s.bell.ring()
}

// stateLocked returns the state of the server at the other end of p. Should none have that URL, it is one that nobody sees.
func (s *Subscriber) stateLocked(p *pipe) *ServerState {
	for i := range s.servers {
		if s.servers[i].URL == p.url {
			return &s.servers[i]
		}
	}
	return new(ServerState)
}

func (s *Subscriber) received(f *following, body []byte) {
	now := time.Now()
	if s.repeats(f, body, now) {
		return
	}
	list, invalid := decodeList(body)
	if invalid > 0 {
		f.pipe.report("invalid names left out of a list", "names", invalid)
		if len(list) == 0 {
			return // whatever that was, it does not say that nobody is left
		}
	}
	s.change(func() {
		s.view.hear(f, body, list, now)
		s.stateLocked(f.pipe).Heard = now
	})
}

// repeats takes a message that says what its connection has said before. It wakes run only when a deadline has come nearer: one
// that moves away is noticed when the old one passes.
func (s *Subscriber) repeats(f *following, body []byte, now time.Time) bool {
	s.mu.Lock()
	repeated := s.view.repeats(f, body, now)
	if repeated {
		s.stateLocked(f.pipe).Heard = now
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
		case <-s.bell:
		case <-timer.C:
		}
		list, overdue, deadline := s.look(time.Now())
		if list != nil {
			s.setList(list)
			out.deliver(s.changes, list)
		}
		for _, f := range overdue {
			f.pipe.giveUp(errSilent)
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
func (s *Subscriber) look(now time.Time) (list []string, overdue []*following, deadline time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if late := now.Sub(s.armed); !s.armed.IsZero() && late > subscriberHalt {
		s.view.excuse(late + subscriberHalt)
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
