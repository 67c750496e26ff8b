package gopherdiscovery

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// publisher is the PUB side of a server. It passes subscribers that come and go
// to the server's loop, which decides when to publish the list. Each subscriber
// is then sent what it lacks as soon as its connection can take it.
type publisher struct {
	sock     *socket
	arrivals arrivals[*subscription]
	beat     time.Duration

	// Only the server's loop uses these fields.
	subscriptions map[*subscription]struct{}
	nextBeat      time.Time // when to look for subscribers that are due a beat

	mu       sync.Mutex // guards the fields below and all cursors
	log      changelog
	asOf     time.Time       // when the loop last marked the list as current
	withheld []*subscription // not sent anything, because asOf was too old
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

// markCurrent records that the server's loop has handled all events, so that
// the list is current. It returns the subscribers that were not sent anything
// since the last call, because the process may have been stopped and the list
// was no longer known to be true. Another server may have sent them a newer
// one.
func (p *publisher) markCurrent(now time.Time) (withheld []*subscription) {
	p.mu.Lock()
	defer p.mu.Unlock()
	withheld, p.withheld, p.asOf = p.withheld, nil, now
	return withheld
}

// take records the subscribers that have come and gone, and returns those that
// have come.
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

// publish sends the list, or what has changed in it, to all subscribers if
// anything is new.
func (p *publisher) publish(list []string, complete bool) {
	p.mu.Lock()
	isNew := p.log.publish(list, complete)
	p.mu.Unlock()
	if isNew {
		offerAll(slices.Collect(maps.Keys(p.subscriptions)))
	}
}

// keepBeat sends a beat to the subscribers that were sent nothing for the
// length of a beat, and a digest to those that have to verify their list.
func (p *publisher) keepBeat(now time.Time) {
	if now.Before(p.nextBeat) {
		return
	}
	p.nextBeat = now.Add(p.beat)
	var due []*subscription
	p.mu.Lock()
	for s := range p.subscriptions {
		if s.cursor.plain {
			continue
		}
		unverified := s.cursor.unverified(now, p.beat)
		if s.cursor.quiet(now, p.beat) || unverified {
			due = append(due, s)
		}
		p.nextBeat = earliest(p.nextBeat, s.cursor.nextBeat(p.beat))
	}
	p.mu.Unlock()
	offerAll(due)
}

// subscription is the session with a subscriber.
type subscription struct {
	publisher *publisher
	pipe      *pipe
	cursor    cursor // guarded by publisher.mu
}

func (s *subscription) began() { s.publisher.arrivals.began(s) }

// received returns an error, because a subscriber must not send messages.
func (s *subscription) received([]byte) error { return errSubscriberSent }

// say returns the next message. It returns nil, and wakes the server's loop, if
// the list has not been marked as current for so long that it may be wrong.
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
