package gopherdiscovery

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// publisher is the PUB side. It hands the subscribers that come and go to the server's loop, which decides when the list is
// published; from then on each subscriber is sent what it lacks as soon as its connection can take it.
type publisher struct {
	sock     *socket
	arrivals arrivals[*subscription]
	beat     time.Duration

	// Only the server's loop uses these.
	subscriptions map[*subscription]struct{}
	nextBeat      time.Time // when to look for subscribers that are owed a beat

	mu       sync.Mutex // guards the fields below, and the cursors in the log
	log      changelog
	asOf     time.Time       // when the server's loop last took in what had happened
	withheld []*subscription // were to be sent something long after that
}

func newPublisher(opt Options, set settings, loop bell) *publisher {
	p := &publisher{
		arrivals:      arrivals[*subscription]{bell: loop},
		beat:          min(max(opt.PollTime, minBeat), maxBeat),
		subscriptions: make(map[*subscription]struct{}),
	}
	set.beat = p.beat
	p.sock = newSocket(pubSide, set, p)
	return p
}

func (p *publisher) open(on *pipe) session {
	plain, have := on.changes()
	return &subscription{publisher: p, pipe: on, cursor: newCursor(plain, have, time.Now())}
}

// markCurrent tells when the server's loop took in what had happened. It returns the
// subscribers that were to be sent something, but so long after the last time
// that the process may have been stopped in between. Meanwhile another server
// may have told them better.
func (p *publisher) markCurrent(now time.Time) (withheld []*subscription) {
	p.mu.Lock()
	defer p.mu.Unlock()
	withheld, p.withheld, p.asOf = p.withheld, nil, now
	return withheld
}

// take takes in the subscribers that have come and gone, and returns those that have come.
func (p *publisher) take() (came []*subscription) {
	for _, e := range p.arrivals.take() {
		if e.ended {
			delete(p.subscriptions, e.session)
		} else {
			p.subscriptions[e.session] = struct{}{}
			came = append(came, e.session)
		}
	}
	return came
}

// publish takes the list as it is now.
func (p *publisher) publish(list []string, complete bool) {
	p.mu.Lock()
	isNew := p.log.publish(list, complete)
	p.mu.Unlock()
	if isNew {
		offerAll(slices.Collect(maps.Keys(p.subscriptions)))
	}
}

// keepBeat sends a beat to those that were sent nothing else for so long.
func (p *publisher) keepBeat(now time.Time) {
	if now.Before(p.nextBeat) {
		return
	}
	p.nextBeat = now.Add(p.beat)
	var quiet []*subscription
	p.mu.Lock()
	for s := range p.subscriptions {
		if s.cursor.plain {
			continue
		}
		if s.cursor.quiet(now, p.beat) {
			quiet = append(quiet, s)
		}
		p.nextBeat = earliest(p.nextBeat, s.cursor.nextBeat(p.beat))
	}
	p.mu.Unlock()
	offerAll(quiet)
}

// subscription is a connection that lists or changes are sent to.
type subscription struct {
	publisher *publisher
	pipe      *pipe
	cursor    cursor // guarded by the publisher
}

func (s *subscription) began() { s.publisher.arrivals.began(s) }

// received is called for what a subscriber must not do: say something.
func (s *subscription) received([]byte) error { return errSubscriberSent }

// say says nothing that the server's loop may not know to be true any more.
func (s *subscription) say() []byte {
	p := s.publisher
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Sub(p.asOf) > serverHalt {
		p.withheld = append(p.withheld, s)
		p.arrivals.bell.ring()
		return nil
	}
	return p.log.next(&s.cursor, now)
}

func (s *subscription) offer() { s.pipe.offer() }

func (s *subscription) ended() { s.publisher.arrivals.ended(s) }
