package gopherdiscovery

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sp"
	"github.com/dahernan/gopherdiscovery/internal/times"
	"github.com/dahernan/gopherdiscovery/internal/wire"

	//lint:ignore SA1019 an alias of context, in the signatures since 2015
	"golang.org/x/net/context"
)

// A Subscriber receives the list of live peers without being on it. Create one
// with [NewSubscriber] or [Dialer.NewSubscriber]. Its methods may be called
// concurrently.
type Subscriber struct {
	sock    *sp.Socket
	outages []*sp.Outage // of the servers, in the order of sources.all
	log     *sp.Log      // nil if the subscriber is part of a client
	changes chan []string
	bell    sp.Bell // rings when run has to check earlier than alarm says
	cancel  context.CancelFunc
	done    chan struct{}

	mu      sync.Mutex // guards the fields below
	sources *wire.Sources
	current map[*wire.Source]*feed // of the connected sources
	alarm   times.Alarm            // when run checks for silence
	out     delivery
}

// ServerState is the state of a server at one of its URLs, as a client or
// subscriber knows it.
type ServerState struct {
	// URL is the pub/sub URL or the survey URL.
	URL string

	// Connected reports whether there is a connection to the URL.
	Connected bool

	// Heard is when the server last sent something, or zero if it never has. A
	// server sends something to a client within [Options.PollTime] plus
	// SurveyTime. To a subscriber that has a list, it sends something within
	// PollTime, which is taken as 50 milliseconds if it is shorter, and as a
	// minute if it is longer. Publishers of whole lists, such as those of 2015,
	// and all publishers over inproc send a list only when it changes.
	Heard time.Time

	// Surveyed is when the client last answered a survey from the survey URL,
	// or zero if it never has. Then the server knows the client, unless it has
	// refused the name: a server does not tell the client about that. It is
	// zero for a pub/sub URL.
	Surveyed time.Time

	// Complete is false while there is no connection. For a survey URL it
	// reports whether the client has answered a survey of the connection. For a
	// pub/sub URL it reports whether the start of the server is over: its
	// clients have had [Options.ReturnTime] to come back. Until then its list
	// may lack peers that are alive.
	Complete bool

	// LastError is the newest reason why there was no connection, or why one
	// was given up. It is nil if there has been no such reason, and is kept
	// when there is a connection again.
	LastError error
}

func newSubscriber(pubsubs []sp.Address, set sp.Settings) (*Subscriber, error) {
	var urls []string
	for _, a := range pubsubs {
		urls = append(urls, a.String())
	}
	s := &Subscriber{
		changes: make(chan []string, 1),
		bell:    sp.NewBell(),
		done:    make(chan struct{}),
		sources: wire.NewSources(urls),
		current: make(map[*wire.Source]*feed),
	}
	set.Lost = s.lost
	set.Found = "a server is connected again"
	s.sock = sp.NewSocket(sp.Sub, set, s.open)
	var err error
	if s.outages, err = s.sock.DialAll(pubsubs); err != nil {
		s.sock.End()
		return nil, err
	}
	return s, nil
}

func (s *Subscriber) start(ctx context.Context) {
	ctx, s.cancel = context.WithCancel(ctx)
	go s.run(ctx)
}

// lost says what it means that no server is connected.
func (s *Subscriber) lost() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out.last == nil {
		return "no server is connected, there is no list yet"
	}
	return "no server is connected, the last list stands"
}

// Changes returns the channel on which whole lists are delivered, not their
// differences. Each call returns the same channel. See [DiscoveryClient.Peers]
// for when lists are delivered. The channel is for one reader, which must
// neither send on it nor close it. It is closed when the subscriber ends.
func (s *Subscriber) Changes() chan []string { return s.changes }

// List returns the list that was last delivered, whether or not it has been
// received from the channel. Before the first list it returns nil. It takes
// nothing from the channel. The slice belongs to the caller.
func (s *Subscriber) List() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.out.last)
}

// Cancel ends the subscriber without waiting for it. It never blocks, and may
// be called more than once.
func (s *Subscriber) Cancel() { s.cancel() }

// Wait blocks until the subscriber has ended, which it does when its context is
// done or Cancel or Close is called. Then its connections are closed and its
// goroutines have ended, except for goroutines of mangos that are about to
// return, the callbacks of [Dialer.TLSConfig] that have not returned within
// half a second, calls of [Dialer.Logger] that have not returned within a
// further half second, and lookups of a host name, which package net does not
// interrupt.
func (s *Subscriber) Wait() { <-s.done }

// Close ends the subscriber and waits for it, like Cancel followed by Wait. It
// may be called more than once, and always returns nil.
func (s *Subscriber) Close() error {
	s.Cancel()
	s.Wait()
	return nil
}

// Servers returns the state of each server, in the order of the URLs. It is
// meant for health checks. The slice belongs to the caller.
func (s *Subscriber) Servers() []ServerState {
	s.mu.Lock()
	defer s.mu.Unlock()
	var states []ServerState
	for i, src := range s.sources.All {
		states = append(states, ServerState{
			URL: src.URL, Connected: src.Connected, Heard: src.Heard, Complete: src.Complete,
			LastError: s.outages[i].LastError(),
		})
	}
	return states
}

// open returns the session for a new connection to a server.
func (s *Subscriber) open(p *sp.Pipe) sp.Session {
	return &feed{subscriber: s, pipe: p, source: s.sources.At(p.URL())}
}

// serverConn is what a feed needs of its connection, which is a pipe.
type serverConn interface {
	Beat() time.Duration
	Awaited() bool
	RememberSum(sum uint64)
	Forget()
	Distrust()
	GiveUp(err error)
	IsBehind() bool
	LastRead() time.Time
	Report(msg string, err error, args ...any)
}

// feed is the session with a server that sends lists or changes.
type feed struct {
	subscriber *Subscriber
	pipe       serverConn
	source     *wire.Source // guarded by subscriber.mu
}

func (f *feed) Began() {
	f.subscriber.update(func(now time.Time) {
		f.subscriber.current[f.source] = f
		f.source.Connect(f.pipe.Beat(), f.pipe.Awaited(), now)
	})
}

func (f *feed) Ended() {
	f.subscriber.update(func(now time.Time) {
		delete(f.subscriber.current, f.source)
		f.subscriber.sources.Disconnect(f.source, now)
	})
}

// Received takes a message and delivers the list that results.
func (f *feed) Received(body []byte) (err error) {
	if f.pipe.Beat() == 0 {
		f.receivedList(body)
		return nil
	}
	u, err := wire.DecodeUpdate(body)
	if err == nil {
		f.subscriber.update(func(now time.Time) { err = f.receivedUpdate(u, now) })
	}
	if errors.Is(err, wire.ErrOtherList) {
		f.pipe.GiveUp(err)
		return nil
	}
	if err != nil {
		f.pipe.Distrust()
	}
	return err
}

// receivedUpdate takes a message of a subscription in changes, with the
// subscriber's mutex held.
func (f *feed) receivedUpdate(u *wire.Update, now time.Time) error {
	if f.subscriber.current[f.source] != f {
		return nil
	}
	err := f.subscriber.sources.Receive(f.source, u, now)
	switch {
	case err == nil && f.source.List != nil:
		f.pipe.RememberSum(f.source.Sum)
	case errors.Is(err, wire.ErrOtherList):
		f.source.Forget()
		f.pipe.Forget()
	}
	return err
}

// receivedList takes a list in the plain form.
func (f *feed) receivedList(body []byte) {
	list, invalid := wire.DecodeList(body)
	if invalid > 0 {
		f.pipe.Report("invalid names left out of a list", errInvalidNames, "names", invalid)
		if len(list) == 0 {
			return // not a list, and in particular not an empty one
		}
	}
	f.subscriber.update(func(now time.Time) {
		if f.subscriber.current[f.source] == f {
			f.subscriber.sources.Replace(f.source, list, now)
			f.pipe.RememberSum(f.source.Sum)
		}
	})
}

func (f *feed) Say() []byte { return nil }

// update calls do, which may update the sources, and delivers the list if it
// has changed. If run is late the subscriber was stopped itself. It wakes
// run only if the deadline is now earlier. A deadline that is now later is
// noticed when the old one passes.
func (s *Subscriber) update(do func(now time.Time)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if stopped := s.alarm.Stopped(now, peerHalt); stopped > 0 {
		s.sources.Excuse(now, stopped)
		s.alarm.At = now
	}
	do(now)
	if list := s.sources.Union(); list != nil {
		s.out.deliver(s.changes, list)
	}
	due := s.sources.Deadline()
	if !due.IsZero() && (s.alarm.At.IsZero() || due.Before(s.alarm.At)) {
		s.bell.Ring()
	}
}

// run gives up connections to silent servers until ctx is done.
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
			f.pipe.GiveUp(sp.ErrSilent)
		}
		if !deadline.IsZero() {
			timer.Reset(time.Until(deadline))
		}
	}
}

// checkSilence returns the connections to be given up, and when to call it
// again. The time is zero if only the bell has to cause that.
func (s *Subscriber) checkSilence() (lost []*feed, deadline time.Time) {
	s.update(func(now time.Time) {
		for src, f := range s.current {
			src.Extend(f.pipe.LastRead())
			if due, ok := src.DueAt(); ok && !now.Before(due) && f.pipe.IsBehind() {
				src.Extend(now)
			}
		}
		for _, src := range s.sources.CheckSilence(now) {
			lost = append(lost, s.current[src])
		}
		s.alarm.At = s.sources.Deadline()
		deadline = s.alarm.At
	})
	return lost, deadline
}

// close ends the connections. Their end delivers no list.
func (s *Subscriber) close() {
	s.update(func(time.Time) { s.out.closed = true })
	s.sock.End()
	if s.log != nil {
		s.log.Close()
	}
}

// delivery is what the sender knows of a channel that holds one list. All lists
// are nil at first.
type delivery struct {
	last   []string // delivered last
	taken  []string // received last, as far as is known
	sent   []string // put into the channel last; nil if taken back
	closed bool     // the channel is about to be closed, nothing more is delivered
}

// deliver puts a list into the channel, in place of one that waits there,
// unless the receiver already has an equal list.
func (d *delivery) deliver(changes chan []string, list []string) {
	if d.closed || d.last != nil && slices.Equal(d.last, list) {
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
