package gopherdiscovery

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	//lint:ignore SA1019 an alias of context, in the signatures since 2015
	"golang.org/x/net/context"
)

// A DiscoveryServer surveys its clients to find out which of them are alive,
// and publishes the list of their names to all subscribers. Create one with
// [Server] or [ServerContext]. Its methods may be called concurrently.
type DiscoveryServer struct {
	surveyor  *surveyor
	publisher *publisher
	bell      bell // rings when a connection has come or gone
	log       *asyncLog
	surveyURL string // as bound
	pubsubURL string // as bound
	cancel    context.CancelFunc
	done      chan struct{}

	mu    sync.Mutex // guards the fields below
	list  []string   // as last published
	stats Stats      // the counters of the loop
}

// Stats holds counters since the start of a server. Clients, Subscribers,
// Services and Complete are current values.
type Stats struct {
	Clients     int // connections on the survey URL
	Subscribers int // connections on the pub/sub URL
	Services    int // names in the list

	// Complete reports whether the server has surveyed all clients since it
	// started or, if the process was stopped, since it continued. Until then
	// the list may lack clients that are alive.
	Complete bool

	Polls uint64 // surveys of all clients

	// Doubted counts the polls that count as missed by no client, because too
	// many clients were silent at once. See [Options.MissedSurveys].
	Doubted uint64

	Answers uint64 // valid answers to surveys
	Missed  uint64 // surveys missed, counted once for each name
	Lists   uint64 // lists published

	// Rejected counts dropped messages and connections closed for what they
	// sent. A message is dropped if it does not answer a survey of its
	// connection, if its name is invalid or refused by [Options.Authorize], or
	// if it exceeds a limit of the connection or of the list. A connection is
	// closed if it sends a message that is too long or not framed correctly, or
	// too many answers between two surveys; if a subscriber sends any message;
	// if its certificate has expired; or if Authorize has withdrawn its name.
	Rejected uint64

	// Refused counts connections closed before they took part. There were
	// [Options.MaxClients] already, the handshake failed or took too long, or
	// the connection made room for others.
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
	if err := checkDistinct([]address{survey}, []address{pubsub}); err != nil {
		return nil, err
	}
	opt, err = opt.withDefaults()
	if err != nil {
		return nil, err
	}
	set, bell := opt.settings(), newBell()
	s := &DiscoveryServer{
		surveyor:  newSurveyor(opt, set, bell),
		publisher: newPublisher(opt, set, bell),
		bell:      bell,
		log:       set.log,
		done:      make(chan struct{}),
		list:      []string{},
	}
	defer func() {
		if err != nil {
			s.closeSockets()
		}
	}()
	if s.pubsubURL, err = s.publisher.sock.listen(pubsub); err != nil {
		return nil, fmt.Errorf("gopherdiscovery: listen on %s: %w", urlPubSub, err)
	}
	if s.surveyURL, err = s.surveyor.sock.listen(survey); err != nil {
		return nil, fmt.Errorf("gopherdiscovery: listen on %s: %w", urlServer, err)
	}
	ctx, s.cancel = context.WithCancel(ctx)
	go s.run(ctx, newSchedule[*respondent](opt, time.Now()))
	return s, nil
}

// Services returns the list that was last published, sorted. Before the first
// it is empty. The slice belongs to the caller.
func (s *DiscoveryServer) Services() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.list...)
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
	stats.Clients, stats.Subscribers = s.surveyor.arrivals.len(), s.publisher.arrivals.len()
	stats.Answers, stats.Rejected = s.surveyor.answered.Load(), s.surveyor.rejected.Load()
	for _, sock := range []*socket{s.surveyor.sock, s.publisher.sock} {
		stats.Rejected += sock.broken.Load()
		stats.Refused += sock.refused.Load()
		stats.AcceptErrors += sock.failed.Load()
	}
	return stats
}

// Cancel ends the server without waiting for it. It never blocks, and may be
// called more than once.
func (s *DiscoveryServer) Cancel() { s.cancel() }

// Wait blocks until the server has ended. Then its addresses are free, its
// connections are closed and its goroutines have ended, except for goroutines
// of mangos that are about to return and calls of [Options.Authorize] and
// [Options.Logger] that have not returned within half a second.
func (s *DiscoveryServer) Wait() { <-s.done }

// Close ends the server and waits for it, like Cancel followed by Wait. It may
// be called more than once, and always returns nil.
func (s *DiscoveryServer) Close() error {
	s.Cancel()
	s.Wait()
	return nil
}

func (s *DiscoveryServer) closeSockets() {
	s.surveyor.sock.close()
	s.publisher.sock.close()
	s.log.close()
}

func (s *DiscoveryServer) run(ctx context.Context, plan *schedule[*respondent]) {
	defer close(s.done)
	defer s.closeSockets()
	defer s.cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var received []answer
	for {
		received = received[:0]
		idle := time.Now()
		select {
		case <-ctx.Done():
			return
		case <-s.bell:
		case <-timer.C:
		case a := <-s.surveyor.answers:
			received = append(received, a)
		}
		now := time.Now()
		plan.woke(idle, now)
		came := s.takeEvents(plan, received, now)
		do, wake := plan.next(now)
		s.act(do, plan)
		// This comes after the list is published, because the list may have
		// changed while the process was stopped.
		offerAll(append(came, s.publisher.markCurrent(now)...))
		s.publisher.keepBeat(now)
		timer.Reset(time.Until(earliest(wake, s.publisher.nextBeat)))
	}
}

// takeEvents passes all events to the plan. Answers that were already received
// come before those that are still queued. It takes all events, so that a burst
// becomes one list and no queued answer counts as missed. The number of rounds
// is limited in case events come as fast as they are taken. It returns the new
// subscribers.
func (s *DiscoveryServer) takeEvents(plan *schedule[*respondent], received []answer, now time.Time) (came []*subscription) {
	for range maxYields {
		ended := false
		for _, e := range s.surveyor.arrivals.take() {
			if e.ended {
				plan.disconnect(e.session, now)
			} else {
				plan.connect(e.session)
			}
			ended = ended || e.ended
		}
		if !ended {
			break
		}
		// Ends often come together, and if most connections end, that must be
		// known before the first end is published.
		runtime.Gosched()
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
		if err := plan.hear(a.from, a.name, now); err != nil {
			s.surveyor.reject(a.from, err)
		}
	}
	if !plan.mayGreet(now) {
		return nil
	}
	came = s.publisher.take()
	for _, sub := range came {
		if sub.cursor.holds {
			plan.resubscribe(now)
		}
	}
	return came
}

// act does what is due. It records a list before it sends it, so that Services
// already includes any list that a subscriber has received.
func (s *DiscoveryServer) act(do actions[*respondent], plan *schedule[*respondent]) {
	s.record(do, plan)
	if do.poll {
		s.surveyor.ask(plan.all())
	}
	if len(do.survey) > 0 {
		s.surveyor.ask(do.survey)
	}
	if do.publish {
		s.publisher.publish(plan.sorted(), plan.edition.complete)
	}
}

func (s *DiscoveryServer) record(do actions[*respondent], plan *schedule[*respondent]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Missed += uint64(do.missed)
	if do.poll {
		s.stats.Polls++
	}
	if do.doubted {
		s.stats.Doubted++
	}
	if !do.publish {
		return
	}
	list := plan.sorted()
	if !slices.Equal(list, s.list) || plan.edition.complete && s.stats.Lists == 0 {
		s.stats.Lists++
	}
	s.list, s.stats.Complete = list, plan.edition.complete
}
