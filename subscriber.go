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
	bell    bell // rings when run has to look earlier
	cancel  context.CancelFunc
	done    chan struct{}

	mu      sync.Mutex // guards the fields below
	sources *sources
	current map[*source]*feed // of those that are connected
	wakeAt  time.Time         // when run looks again by itself; zero for never
	out     delivery
	closed  bool // nothing is delivered any more
}

// ServerState tells what a subscriber knows of one of its servers.
type ServerState struct {
	// URL is the server's pub/sub URL.
	URL string

	// Connected reports whether the server can be reached now.
	Connected bool

	// Heard is when the server sent something last, and zero if it never has.
	// A server sends something every Options.PollTime, but at most once in 50
	// milliseconds and at least once a minute, except at first while it is
	// incomplete. Other publishers, such as those of 2015, and inproc, send a
	// list only when it changes.
	Heard time.Time

	// Complete reports whether the server has surveyed everyone since it started. Until then its list may lack peers that
	// are alive. It is false while the server is not connected.
	Complete bool
}

func newSubscriber(pubsubs []address, set settings) (*Subscriber, error) {
	s := &Subscriber{
		changes: make(chan []string, 1),
		bell:    newBell(),
		done:    make(chan struct{}),
		sources: newSources(pubsubs),
		current: make(map[*source]*feed),
	}
	set.lost = "no server is connected, the last list stands"
	set.found = "a server is connected again"
	s.sock = newSocket(subSide, set, s)
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
	return slices.Clone(s.out.last)
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

// Servers returns the state of each server, in the order of their URLs, for health checks.
func (s *Subscriber) Servers() []ServerState {
	s.mu.Lock()
	defer s.mu.Unlock()
	var states []ServerState
	for _, src := range s.sources.all {
		states = append(states, ServerState{src.url, src.connected, src.heard, src.complete})
	}
	return states
}

// open makes the session with a server.
func (s *Subscriber) open(p *pipe) session {
	return &feed{subscriber: s, pipe: p, source: s.sources.at(p.url)}
}

// feed is a connection to a server that sends lists or changes.
type feed struct {
	subscriber *Subscriber
	pipe       *pipe
	source     *source // guarded by the subscriber
}

func (f *feed) began() {
	f.subscriber.change(func(now time.Time) {
		f.subscriber.current[f.source] = f
		f.source.connect(f.pipe.beat(), now)
	})
}

func (f *feed) ended() {
	f.subscriber.change(func(time.Time) {
		delete(f.subscriber.current, f.source)
		f.source.disconnect()
	})
}

// received delivers what comes of a message, before the next one is read.
func (f *feed) received(body []byte) (err error) {
	if f.pipe.beat() == 0 {
		f.receivedList(body)
		return nil
	}
	u, err := decodeUpdate(body)
	if u != nil {
		f.subscriber.change(func(now time.Time) {
			if f.subscriber.current[f.source] == f {
				if err = f.source.take(u, now); err == nil {
					f.pipe.hold(f.source.sum)
				}
			}
		})
	}
	if err != nil {
		f.pipe.distrust()
	}
	return err
}

// receivedList takes a list in the plain form.
func (f *feed) receivedList(body []byte) {
	list, invalid := decodeList(body)
	if invalid > 0 {
		f.pipe.report("invalid names left out of a list", "names", invalid)
		if len(list) == 0 {
			return // whatever that was, it does not say that nobody is left
		}
	}
	f.subscriber.change(func(now time.Time) {
		if f.subscriber.current[f.source] == f {
			f.source.replace(list, now)
			f.pipe.hold(f.source.sum)
		}
	})
}

func (f *feed) say() []byte { return nil }

// change changes what is known of a server, and delivers the list if it is
// another one now. It rings for run only when a deadline has come nearer: one
// that moves away is noticed when the old one passes.
func (s *Subscriber) change(do func(now time.Time)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do(time.Now())
	if list := s.sources.union(); list != nil && !s.closed {
		s.out.deliver(s.changes, list)
	}
	due := s.sources.deadline()
	if !due.IsZero() && (s.wakeAt.IsZero() || due.Before(s.wakeAt)) {
		s.bell.ring()
	}
}

// run watches for servers that have fallen silent.
func (s *Subscriber) run(ctx context.Context) {
	defer close(s.done)
	defer close(s.changes)
	defer s.close()
	defer s.cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.bell:
		case <-timer.C:
		}
		lost, deadline := s.checkSilence()
		for _, f := range lost {
			f.pipe.giveUp(errSilent)
		}
		if !deadline.IsZero() {
			timer.Reset(time.Until(deadline))
		}
	}
}

// checkSilence returns the connections to be given up, and when to call it again;
// zero if only on the bell.
func (s *Subscriber) checkSilence() (lost []*feed, deadline time.Time) {
	s.change(func(now time.Time) {
		if !s.wakeAt.IsZero() && now.Sub(s.wakeAt) > peerHalt {
			s.sources.excuse(now)
		}
		for src, f := range s.current {
			if due, ok := src.due(); ok && !now.Before(due) && f.pipe.isBehind() {
				src.since = now
			}
		}
		for _, src := range s.sources.checkSilence(now) {
			lost = append(lost, s.current[src])
		}
		s.wakeAt = s.sources.deadline()
		deadline = s.wakeAt
	})
	return lost, deadline
}

// close ends the connections. That they end is not news.
func (s *Subscriber) close() {
	s.change(func(time.Time) { s.closed = true })
	s.sock.close()
	if s.log != nil {
		s.log.close()
	}
}

// delivery is what the sender on a channel with room for one list knows about it.
type delivery struct {
	last  []string // delivered last; nil before the first
	taken []string // the last list that was received from the channel; nil before the first
	sent  []string // the last list that was put there; nil when it was taken back
}

// deliver puts a list into the channel in place of one that waits there, unless it equals what the receiver has.
func (d *delivery) deliver(changes chan []string, list []string) {
	if d.last != nil && slices.Equal(d.last, list) {
		return
	}
	d.last = list
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
