package gopherdiscovery

import (
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/membership"
	"github.com/dahernan/gopherdiscovery/internal/sp"
	"github.com/dahernan/gopherdiscovery/internal/times"
	"github.com/dahernan/gopherdiscovery/internal/wire"

	//lint:ignore SA1019 an alias of context, in the signatures since 2015
	"golang.org/x/net/context"
)

// A DiscoveryServer surveys its clients to find out which of them are alive,
// and publishes the list of their names to all subscribers. Create one with
// [Server] or [ServerContext]. Its methods may be called concurrently.
type DiscoveryServer struct {
	surveyor  *surveyor
	publisher *publisher
	bell      sp.Bell // rings when a connection has come or gone
	log       *sp.Log
	surveyURL string // as bound
	pubsubURL string // as bound
	cancel    context.CancelFunc
	changes   chan []string
	done      chan struct{}

	mu sync.Mutex // guards told
	told
}

// told is what the server's loop has told last.
type told struct {
	list   []string // as published
	silent []string // in the last poll; some may have left the list since
	out    delivery // to changes
	stats  Stats    // the counters of the loop
}

// Stats holds counters since the start of a server. Clients, Subscribers,
// Services, Silent and Complete are current values. The fields are not grouped,
// because each is read by its name, as one metric.
type Stats struct {
	Clients     int // connections on the survey URL
	Subscribers int // connections on the pub/sub URL
	Services    int // names in the list
	Silent      int // names in the list that DiscoveryServer.Silent returns

	// Complete reports whether clients that were there before the server
	// started have had [Options.ReturnTime] to come back. Until then the list
	// may lack some of them. Once true, it stays true.
	Complete bool

	Polls uint64 // surveys of all clients

	// Doubted counts the polls in which so many clients were silent that their
	// silence is not counted in Missed. See [Options.MissedSurveys].
	Doubted uint64

	Answers uint64 // valid answers to surveys
	Missed  uint64 // surveys missed, counted once for each name
	Lists   uint64 // lists published

	// Rejected counts dropped messages and connections closed for what they
	// sent. A message is dropped if it does not answer a survey of its
	// connection, if its name is invalid or refused by [Options.Authorize], or
	// if it exceeds a limit of the connection or of the list. A connection is
	// closed if it sends a message that is too long or not framed correctly, or
	// too many answers between two surveys; if a subscriber sends any message,
	// or is among the slowest while too many lists wait to be read; if its
	// certificate has expired; or if Authorize has withdrawn its name.
	Rejected uint64

	// Refused counts connections closed before they took part: because
	// [Options.MaxClients] were open, because the handshake failed or took too
	// long, or to make room for others.
	Refused uint64

	// AcceptErrors counts failures to accept a connection. Usually the process
	// has run out of file descriptors.
	AcceptErrors uint64
}

// Server starts a server that surveys its clients on urlServer and publishes
// the list of their names on urlPubSub. It is like [ServerContext] with a
// context that is never canceled.
func Server(urlServer, urlPubSub string, opt Options) (*DiscoveryServer, error) {
	return ServerContext(context.Background(), urlServer, urlPubSub, opt)
}

// ServerContext starts a server that surveys its clients on urlServer and
// publishes the list of their names on urlPubSub. The server runs until ctx is
// done, or until [DiscoveryServer.Cancel] or [DiscoveryServer.Close] is called.
//
// Both addresses are bound when ServerContext returns. With port 0 the system
// chooses the port; see [DiscoveryServer.URLs].
//
// The error matches [ErrInvalidURL] or [ErrInvalidArgument], or wraps the
// reason why an address could not be bound. After an error no address is bound
// and no goroutine is left.
func ServerContext(ctx context.Context, urlServer, urlPubSub string, opt Options) (_ *DiscoveryServer, err error) {
	if err := checkContext(ctx); err != nil {
		return nil, err
	}
	survey, err := opt.parse("urlServer", urlServer)
	if err != nil {
		return nil, err
	}
	pubsub, err := opt.parse("urlPubSub", urlPubSub)
	if err != nil {
		return nil, err
	}
	if err := sp.CheckDistinct([]sp.Address{survey}, []sp.Address{pubsub}); err != nil {
		return nil, err
	}
	opt, err = opt.withDefaults()
	if err != nil {
		return nil, err
	}
	set, bell := opt.settings(), sp.NewBell()
	s := &DiscoveryServer{
		surveyor:  newSurveyor(opt, set, bell),
		publisher: newPublisher(opt, set, bell),
		bell:      bell,
		log:       set.Log,
		changes:   make(chan []string, 1),
		done:      make(chan struct{}),
		told:      told{list: []string{}},
	}
	defer func() {
		if err != nil {
			s.closeSockets()
		}
	}()
	if s.pubsubURL, err = s.publisher.sock.Listen(pubsub); err != nil {
		return nil, fmt.Errorf("gopherdiscovery: listen on %s: %w", urlPubSub, err)
	}
	if s.surveyURL, err = s.surveyor.sock.Listen(survey); err != nil {
		return nil, fmt.Errorf("gopherdiscovery: listen on %s: %w", urlServer, err)
	}
	ctx, s.cancel = context.WithCancel(ctx)
	go s.run(ctx, membership.New[*respondent](opt.membership(), time.Now()))
	return s, nil
}

// Changes returns the channel on which the lists that the server publishes are
// delivered: whole lists, not their differences. Each call returns the same
// channel. The channel holds one list; a
// newer list replaces one that has not been received yet. Each list is sorted
// and without duplicates, differs from the list received before, and belongs to
// the receiver. The channel is for one reader. It is closed when the server
// ends.
func (s *DiscoveryServer) Changes() <-chan []string { return s.changes }

// Services returns the list that was last published, sorted. Before the first
// it is empty. The slice belongs to the caller.
func (s *DiscoveryServer) Services() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.list...)
}

// Silent returns the names in the list for which no connection has answered the
// last survey of all clients in time, sorted. They stay in the list as
// [Options.MissedSurveys] says, or because the server doubts that survey, or
// because their clients have lost their connections together and may come back.
// A name that is heard again is in the slice until the next survey has ended. A
// server does not know when a client has doubts about its connection.
//
// Silent returns nil if there are no such names, and when the server has ended.
// The slice belongs to the caller.
func (s *DiscoveryServer) Silent() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(s.silentLocked())
}

// silentLocked iterates over the silent names that are still in the list.
func (s *DiscoveryServer) silentLocked() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, name := range s.silent {
			if _, listed := slices.BinarySearch(s.list, name); listed && !yield(name) {
				return
			}
		}
	}
}

// URLs returns the two URLs of the server as bound. A port 0 is replaced by the
// port that the system chose.
func (s *DiscoveryServer) URLs() (server, pubsub string) {
	return s.surveyURL, s.pubsubURL
}

// Stats returns the current counters of the server.
func (s *DiscoveryServer) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Services = len(s.list)
	for range s.silentLocked() {
		stats.Silent++
	}
	stats.Clients, stats.Subscribers = s.surveyor.arrivals.len(), s.publisher.arrivals.len()
	stats.Answers, stats.Rejected = s.surveyor.answered.Load(), s.surveyor.rejected.Load()
	for _, sock := range []*sp.Socket{s.surveyor.sock, s.publisher.sock} {
		stats.Rejected += sock.Broken.Load()
		stats.Refused += sock.Refused.Load()
		stats.AcceptErrors += sock.Failed.Load()
	}
	return stats
}

// Cancel ends the server without waiting for it. It never blocks, and may be
// called more than once.
func (s *DiscoveryServer) Cancel() { s.cancel() }

// Wait blocks until the server has ended. Then its addresses are free, its
// connections are closed and its goroutines have ended, except for goroutines
// of mangos that are about to return, calls of [Options.Authorize] and the
// callbacks of [Options.TLSConfig] that have not returned within half a second,
// and calls of [Options.Logger] that have not returned within a further half
// second.
func (s *DiscoveryServer) Wait() { <-s.done }

// Close ends the server and waits for it, like Cancel followed by Wait. It may
// be called more than once, and always returns nil.
func (s *DiscoveryServer) Close() error {
	s.Cancel()
	s.Wait()
	return nil
}

// closeSockets closes both at the same time, since the end of each may wait for
// users' functions.
func (s *DiscoveryServer) closeSockets() {
	var ends sync.WaitGroup
	ends.Go(s.surveyor.sock.End)
	ends.Go(s.publisher.sock.End)
	ends.Wait()
	s.log.Close()
}

func (s *DiscoveryServer) run(ctx context.Context, plan *membership.Schedule[*respondent]) {
	defer close(s.done)
	defer close(s.changes)
	defer s.closeSockets()
	defer s.cancel()
	defer s.forgetSilent()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var received []answer
	var looked time.Time // at the handshakes
	for {
		received = received[:0]
		select {
		case <-ctx.Done():
			return
		case <-s.bell:
		case <-timer.C:
		case a := <-s.surveyor.answers:
			received = append(received, a)
		}
		now := time.Now()
		s.publisher.stopped(plan.Woke(now))
		s.takeEvents(plan, received, now)
		s.publisher.recordArrivals()
		waiting := plan.NeedsHandshakes() || s.publisher.hasWaiting()
		if waiting && now.Sub(looked) >= handshakesTime {
			plan.SetHandshakes(membership.Handshakes(s.surveyor.sock.Handshakes.State(s.surveyURL)))
			looked = now
		}
		do, wake := plan.Next(now)
		s.act(do, plan, now)
		st := standingOf(plan, now)
		s.publisher.keepBeat(now, st)
		wake = times.Earliest(wake, s.publisher.wakeAt)
		if waiting && st.ComingIn {
			wake = times.Earliest(wake, looked.Add(handshakesTime)) // they may be over
		}
		timer.Reset(time.Until(wake))
	}
}

// takeEvents passes all events to the plan, so that a burst becomes one list.
// The answers of a connection come after its beginning and before its end.
// Answers that were already received come before those that are still queued.
func (s *DiscoveryServer) takeEvents(plan *membership.Schedule[*respondent], received []answer, now time.Time) {
	events := s.surveyor.arrivals.drain()
	for _, e := range events {
		if !e.ended {
			plan.Connect(e.session, e.session.host(), now)
		}
	}
	for range maxAnswers {
		select {
		case a := <-s.surveyor.answers:
			received = append(received, a)
			continue
		default:
		}
		break
	}
	for _, a := range received {
		s.takeAnswer(plan, a, now)
	}
	for _, e := range events {
		if e.ended {
			plan.Disconnect(e.session, e.session.pipe.TimedOut(), now)
		}
	}
}

func (s *DiscoveryServer) takeAnswer(plan *membership.Schedule[*respondent], a answer, now time.Time) {
	switch a.kind {
	case leaves:
		plan.Leave(a.from, a.name, now)
	case checking:
		plan.Check(a.from, a.name, now)
	case refused:
		s.takeRefusal(plan, a, now)
	default:
		if err := plan.Hear(a.from, a.name, now); err != nil {
			s.surveyor.reject(a.from, err)
		}
	}
}

// takeRefusal drops a name that Authorize has refused. If the connection
// announces it, Authorize has withdrawn it, and the connection is closed. The
// plan knows that, so that nothing is remembered of names that are not listed.
func (s *DiscoveryServer) takeRefusal(plan *membership.Schedule[*respondent], a answer, now time.Time) {
	if plan.Announces(a.from, a.name) {
		plan.Leave(a.from, a.name, now)
		a.from.pipe.Drop(fmt.Errorf("%w: %w", errWithdrawn, a.err))
	} else {
		plan.CheckEnded(a.from)
		s.surveyor.reject(a.from, a.err)
	}
}

// act does what is due. It records a list before it sends it, so that Services
// already includes any list that a subscriber has received.
func (s *DiscoveryServer) act(do membership.Actions[*respondent], plan *membership.Schedule[*respondent], now time.Time) {
	s.record(do, plan)
	if do.Poll {
		s.surveyor.ask(plan.All())
	}
	if len(do.Survey) > 0 {
		s.surveyor.ask(do.Survey)
	}
	if do.Publish {
		s.publisher.publish(plan.List(), plan.IsComplete(), do.Forget, now)
	}
}

func standingOf[C comparable](plan *membership.Schedule[C], now time.Time) wire.Standing {
	return wire.Standing{Complete: plan.IsComplete(), ComingIn: plan.AreComingIn(now), LastArrival: plan.Arrived()}
}

func (s *DiscoveryServer) record(do membership.Actions[*respondent], plan *membership.Schedule[*respondent]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Missed += uint64(do.Missed)
	s.silent = plan.Silent()
	if do.Poll {
		s.stats.Polls++
	}
	if do.Doubted {
		s.stats.Doubted++
	}
	if !do.Publish {
		return
	}
	list := plan.List()
	if !slices.Equal(list, s.list) || plan.IsComplete() && s.stats.Lists == 0 {
		s.stats.Lists++
	}
	s.list, s.stats.Complete = list, plan.IsComplete()
	s.out.deliver(s.changes, list)
}

// forgetSilent is called when nobody is surveyed any more.
func (s *DiscoveryServer) forgetSilent() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = nil
}
