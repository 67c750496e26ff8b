package gopherdiscovery

import (
	"container/list"
	"sync"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/membership"
	"github.com/dahernan/gopherdiscovery/internal/sp"
	"github.com/dahernan/gopherdiscovery/internal/times"
	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// publisher is the PUB side of a server. It passes subscribers that come and go
// to the server's loop, which decides when to publish the list. Each subscriber
// is then sent what it lacks as soon as its connection can take it.
type publisher struct {
	sock     *sp.Socket
	arrivals arrivals[*subscription]
	beat     time.Duration
	greeter  wire.Greeter

	// Only the server's loop uses these fields.
	subscriptions map[*subscription]struct{}
	greetings
	nextBeat time.Time // when to look for subscribers that are due a beat
	wakeAt   time.Time // when to call keepBeat again

	mu      sync.Mutex // guards the fields below and all cursors
	log     wire.Changelog
	backlog backlog
}

// greetings are about the subscribers that wait for a list.
type greetings struct {
	waiting      map[*subscription]struct{} // those whose cursor waits
	came         []*subscription            // of these, those that have just come
	comingIn     bool                       // clients were coming in
	lastGreeting time.Time                  // when the publisher last looked whose wait is over
	nextGreeting time.Time                  // when to look again
}

func newPublisher(opt Options, set sp.Settings, loop sp.Bell) *publisher {
	p := &publisher{
		arrivals:      arrivals[*subscription]{bell: loop},
		beat:          wire.BeatFor(opt.PollTime),
		greeter:       wire.NewGreeter(opt.PollTime, opt.ReturnTime, membership.LongestWait, time.Now()),
		subscriptions: make(map[*subscription]struct{}),
		greetings:     greetings{waiting: make(map[*subscription]struct{})},
	}
	set.Beat = p.beat
	p.sock = sp.NewSocket(sp.Pub, set, p.open)
	return p
}

func (p *publisher) open(on *sp.Pipe) sp.Session {
	plain, have := on.Form()
	return &subscription{publisher: p, pipe: on, cursor: wire.NewCursor(plain, have, time.Now())}
}

// recordArrivals records the subscribers that have come and gone. The next call
// of keepBeat greets those that have come.
func (p *publisher) recordArrivals() {
	for _, e := range p.arrivals.drain() {
		if e.ended {
			delete(p.subscriptions, e.session)
			delete(p.waiting, e.session)
		} else {
			p.subscriptions[e.session] = struct{}{}
			p.waiting[e.session] = struct{}{}
			p.came = append(p.came, e.session)
		}
	}
}

// stopped records that the server was stopped for a time, in which no client
// could return. That time has not passed for subscribers that wait.
func (p *publisher) stopped(by time.Duration) {
	if by == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.waiting {
		s.cursor.Postpone(by)
	}
}

// hasWaiting reports whether a subscriber waits.
func (p *publisher) hasWaiting() bool { return len(p.waiting) > 0 }

// publish sends the list of names, or what has changed in it, to all
// subscribers that do not wait. Forget says that the list follows from none
// that was published before, because its names have left by a mass departure,
// or after the server was stopped.
func (p *publisher) publish(names []string, complete, forget bool, now time.Time) {
	var due []*subscription
	p.mu.Lock()
	if p.log.Publish(names, complete, forget, now) {
		for s := range p.subscriptions {
			if !s.cursor.Waits {
				due = append(due, s)
			}
		}
		p.nextGreeting = now
	}
	p.mu.Unlock()
	sp.OfferAll(due)
}

// keepBeat greets the subscribers that have waited long enough, and sends a
// beat to those that were sent nothing for the length of a beat. It must be
// called again at wakeAt, or whenever the standing changes.
func (p *publisher) keepBeat(now time.Time, st wire.Standing) {
	var due []*subscription
	p.mu.Lock()
	if !now.Before(p.nextBeat) {
		due = p.quietLocked(now)
	}
	due = append(due, p.greetLocked(st, now)...)
	p.mu.Unlock()
	sp.OfferAll(due)
}

// greetLocked ends the wait of those whose time has come. It returns them, and
// those that are due their first beat. Many may wait while clients come in, so
// it looks at all of them at most once in greetingTime for that reason. It sets
// wakeAt to when it has to look again, or the next beat is due.
func (p *publisher) greetLocked(st wire.Standing, now time.Time) (due []*subscription) {
	greet := func(s *subscription) {
		if _, waits := p.waiting[s]; !waits {
			return // it has gone
		}
		isDue := s.cursor.BeatDue
		at, ok := p.greeter.DueAt(&s.cursor, &p.log, st)
		switch {
		case ok && !now.Before(at):
			s.cursor.Greet()
			delete(p.waiting, s)
			isDue = true
		case ok:
			p.nextGreeting = times.Earliest(p.nextGreeting, at)
		}
		if isDue {
			due = append(due, s)
		}
	}
	if st.ComingIn != p.comingIn {
		p.comingIn = st.ComingIn
		p.nextGreeting = times.Earliest(p.nextGreeting, p.lastGreeting.Add(greetingTime))
	}
	if now.Before(p.nextGreeting) {
		for _, s := range p.came {
			greet(s)
		}
	} else {
		p.lastGreeting, p.nextGreeting = now, now.Add(wire.MaxBeat)
		for s := range p.waiting {
			greet(s)
		}
	}
	clear(p.came)
	p.came = p.came[:0]
	p.wakeAt = p.nextBeat
	if len(p.waiting) > 0 {
		p.wakeAt = times.Earliest(p.wakeAt, p.nextGreeting)
	}
	return due
}

// quietLocked returns the subscribers that are due a beat, and sets nextBeat.
func (p *publisher) quietLocked(now time.Time) (due []*subscription) {
	p.nextBeat = now.Add(p.beat)
	for s := range p.subscriptions {
		if s.cursor.Plain {
			continue
		}
		if s.cursor.MarkBeat(now, p.beat) {
			due = append(due, s)
		}
		p.nextBeat = times.Earliest(p.nextBeat, s.cursor.NextBeat(p.beat))
	}
	return due
}

// subscription is the session with a subscriber.
type subscription struct {
	publisher *publisher
	pipe      *sp.Pipe

	// The fields below are guarded by publisher.mu.
	cursor  wire.Cursor
	isOver  bool          // the connection has ended
	message []byte        // that is being sent, if it is in the backlog
	place   *list.Element // in the backlog
}

func (s *subscription) Began() { s.publisher.arrivals.began(s) }

// Received returns an error, because a subscriber must not send messages.
func (s *subscription) Received([]byte) error { return errSubscriberSent }

// Say returns the next message. If too much waits to be sent, it closes the
// connections that are slowest.
func (s *subscription) Say() []byte {
	message, slow := s.next()
	for _, other := range slow {
		other.pipe.Drop(errTooSlow)
	}
	return message
}

// next returns the next message, and the subscriptions that are to be closed. A
// connection that has ended is sent nothing, and would never leave the backlog.
func (s *subscription) next() (message []byte, slow []*subscription) {
	p := s.publisher
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.isOver {
		return nil, nil
	}
	message = p.log.Next(&s.cursor, time.Now())
	p.backlog.begin(s, message)
	return message, p.backlog.trim(max(minBacklog, backlogLists*p.log.ListSize()))
}

func (s *subscription) Offer() { s.pipe.Offer() }

func (s *subscription) Ended() {
	s.publisher.mu.Lock()
	s.isOver = true
	s.publisher.backlog.end(s)
	s.publisher.mu.Unlock()
	s.publisher.arrivals.ended(s)
}
