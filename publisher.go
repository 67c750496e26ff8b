package gopherdiscovery

import "time"

// publisher is the PUB side. It hands the subscribers that come and go to the server's loop, which decides what each is sent.
type publisher struct {
	sock     *socket
	arrivals arrivals[*subscription]

	// Only the server's loop uses these.
	subscriptions map[*subscription]struct{}
	last          []byte // the last list as it is sent; nil before the first
	pollTime      time.Duration
	repeated      time.Time     // when the list was repeated last
	pause         time.Duration // before that
}

func newPublisher(opt Options, set settings, loop bell) *publisher {
	p := &publisher{
		arrivals:      arrivals[*subscription]{bell: loop},
		subscriptions: make(map[*subscription]struct{}),
		pollTime:      opt.PollTime,
	}
	p.sock = newSocket(pubSide, set, p, true)
	return p
}

func (p *publisher) open(on *pipe) session {
	s := &subscription{publisher: p, pipe: on}
	p.arrivals.began(s)
	return s
}

// subscribe makes a subscription one of those that publish sends to.
func (p *publisher) subscribe(s *subscription) { p.subscriptions[s] = struct{}{} }

func (p *publisher) unsubscribe(s *subscription) { delete(p.subscriptions, s) }

func (p *publisher) publish(names []string) {
	p.last = encodeList(names)
	p.sendAll()
}

// deliver sends the last list.
func (p *publisher) deliver(all []*subscription) {
	for _, s := range all {
		s.pipe.post(p.last)
	}
}

// repeat sends the list once more, unless that is too much: it tells subscribers that the server is alive.
func (p *publisher) repeat(now time.Time) {
	passed := p.pollTime
	if !p.repeated.IsZero() {
		passed = now.Sub(p.repeated)
	}
	if passed >= repeatInterval(len(p.last), len(p.subscriptions), p.pause) { // the first pause is 0, and holds up nothing
		p.pause = max(passed, p.pollTime)
		p.repeated = now
		p.sendAll()
	}
}

// repeatInterval is how far apart repetitions are at least. It grows from one pause to the next by no more than subscribers,
// who wait for three, can bear.
func repeatInterval(listLen, subscribers int, pause time.Duration) time.Duration {
	interval := time.Duration(float64(listLen) * float64(subscribers) / repeatRate * float64(time.Second))
	return min(interval, pause*3/2)
}

func (p *publisher) sendAll() {
	for s := range p.subscriptions {
		s.pipe.post(p.last)
	}
}

// subscription is a connection that lists are sent to.
type subscription struct {
	publisher *publisher
	pipe      *pipe
}

// received is called for what a subscriber must not do: say something.
func (s *subscription) received([]byte) error { return errSubscriberTalks }

func (s *subscription) ended() { s.publisher.arrivals.ended(s) }
