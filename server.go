package gopherdiscovery

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/context" //lint:ignore SA1019 the library's signatures have always named it; it is an alias of the standard one
)

// DiscoveryServer finds out which clients are alive and tells their names to everyone who subscribes. Its methods may be
// called concurrently.
type DiscoveryServer struct {
	surveyor  *surveyor
	publisher *publisher
	bell      bell // rings when a connection has come or gone
	log       *asyncLog
	surveyURL string // as bound
	pubsubURL string
	cancel    context.CancelFunc
	done      chan struct{}

	mu    sync.Mutex // guards the fields below
	list  []string   // published last
	stats Stats      // what the loop counts
}

// Stats holds counters since the server's start. Clients, Subscribers, Services and Complete are current values.
type Stats struct {
	Clients     int // connections on the survey URL
	Subscribers int // connections on the pub/sub URL
	Services    int // names in the list

	// Complete reports whether the server has surveyed everyone since it started, or was stopped and continued. Until then
	// its list may lack clients that are alive.
	Complete bool

	Polls   uint64 // surveys of everyone
	Doubted uint64 // of these, not counted as missed by anyone: see Options.MissedSurveys
	Answers uint64 // valid answers to surveys
	Missed  uint64 // surveys missed, counted per name
	Lists   uint64 // lists published

	// Rejected counts messages dropped: an answer to no survey, an invalid name, one that Authorize refuses, one beyond the
	// limits of a connection or of the list. It also counts connections closed because of what they said: too long a
	// message, no message of the protocol, too many answers between two surveys, any message of a subscriber; and
	// those closed because a certificate has expired, or because Authorize has withdrawn a name.
	Rejected uint64

	// Refused counts connections closed before they took part: over MaxClients, with no handshake in time or none that
	// fits, or to make room for others.
	Refused uint64

	// AcceptErrors counts failures to accept a connection, as a rule because the process has no file descriptor left.
	AcceptErrors uint64
}

// Server starts a server that surveys its clients on urlServer and publishes the list of their names on urlPubSub, until
// Cancel or Close. It is ServerContext with a context that never ends.
func Server(urlServer, urlPubSub string, opt Options) (*DiscoveryServer, error) {
	return ServerContext(context.Background(), urlServer, urlPubSub, opt)
}

// ServerContext is like Server; the server also ends with ctx. Both addresses are bound when it returns; port 0 lets the
// system choose, see URLs. When it fails nothing is left behind. The errors match ErrInvalidURL or ErrInvalidArgument, or
// tell why an address could not be bound.
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

// Services returns the list as published last, sorted; it is empty before the first. The slice is the caller's.
func (s *DiscoveryServer) Services() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.list...)
}

// URLs returns the two URLs as bound: a port 0 comes back as the port that the system chose.
func (s *DiscoveryServer) URLs() (server, pubsub string) {
	return s.surveyURL, s.pubsubURL
}

// Stats returns the server's counters.
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

// Cancel makes the server end and returns at once. It may be called more than once and from anywhere.
func (s *DiscoveryServer) Cancel() { s.cancel() }

// Wait returns when the server has ended: its addresses are free and all it has started is gone, but for goroutines of mangos
// that are about to return.
func (s *DiscoveryServer) Wait() { <-s.done }

// Close cancels the server and waits for its end. It may be called more than once, and always returns nil.
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
	var waited []answer
	for {
		waited = waited[:0]
		idle := time.Now()
		select {
		case <-ctx.Done():
			return
		case <-s.bell:
		case <-timer.C:
		case a := <-s.surveyor.answers:
			waited = append(waited, a)
		}
		now := time.Now()
		plan.woke(idle, now)
		came := s.takeEvents(plan, waited, now)
		do, wake := plan.next(now)
		s.act(do, plan)
		offerAll(append(came, s.publisher.markCurrent(now)...)) // not before the list is published: it may be new since a halt
		s.publisher.keepBeat(now)
		timer.Reset(time.Until(earliest(wake, s.publisher.nextBeat)))
	}
}

// takeEvents brings the plan up to date, with the waited answers before those that still wait. It takes them all, so that a
// burst becomes one list and no answer that waits counts as missed, but not without end if they come as fast. It returns the
// subscribers that have come.
func (s *DiscoveryServer) takeEvents(plan *schedule[*respondent], waited []answer, now time.Time) (came []*subscription) {
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
		runtime.Gosched() // one end seldom comes alone, and that most have ended is to be known before the first is told
	}
	for range maxAnswers {
		select {
		case a := <-s.surveyor.answers:
			waited = append(waited, a)
			continue
		default:
		}
		break
	}
	for _, a := range waited {
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

// act records a list before it sends it, so that Services already includes any list that a subscriber has received.
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
