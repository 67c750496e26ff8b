package gopherdiscovery

import (
	"slices"
	"time"
)

// clusterPublisher does what the publisher of a server does, in the same order.
type clusterPublisher struct {
	server  *clusterServer
	beat    time.Duration
	greeter greeter
	log     changelog

	all      []*clusterSubscription
	came     []*clusterSubscription
	gone     []*clusterSubscription
	nextBeat time.Time
}

// clusterSubscription is a connection of a subscriber, as the server knows it.
type clusterSubscription struct {
	end    *clusterEnd
	feed   *clusterFeed
	cursor cursor
}

func newClusterPublisher(s *clusterServer) clusterPublisher {
	opt := s.c.options
	return clusterPublisher{
		server:  s,
		beat:    min(max(opt.PollTime, minBeat), maxBeat),
		greeter: greeter{start: s.process.host.time(), pollTime: opt.PollTime, returnTime: opt.ReturnTime},
	}
}

// welcome sends WELCOME. The subscription begins with HAVE.
func (p *clusterPublisher) welcome(e *clusterEnd) {
	feed := e.other.feed
	e.send(func() {
		have := feed.welcomed(p.beat)
		e.other.send(func() { p.subscribe(e, feed, have) })
	})
}

func (p *clusterPublisher) subscribe(e *clusterEnd, feed *clusterFeed, have *uint64) {
	sub := &clusterSubscription{end: e, feed: feed, cursor: newCursor(false, have, p.server.process.host.time())}
	e.onEnd = func() {
		p.gone = append(p.gone, sub)
		p.server.ring()
	}
	p.came = append(p.came, sub)
	p.server.ring()
}

// take records the subscribers that have come and gone.
func (p *clusterPublisher) take() {
	p.all = append(p.all, p.came...)
	p.all = slices.DeleteFunc(p.all, func(sub *clusterSubscription) bool { return slices.Contains(p.gone, sub) })
	p.came, p.gone = nil, nil
}

func (p *clusterPublisher) stopped(by time.Duration) {
	for _, sub := range p.all {
		if sub.cursor.waits {
			sub.cursor.since = sub.cursor.since.Add(by)
		}
	}
}

func (p *clusterPublisher) areWaiting() bool {
	return slices.ContainsFunc(p.all, func(sub *clusterSubscription) bool { return sub.cursor.waits })
}

func (p *clusterPublisher) publish(list []string, st standing, forget bool, now time.Time) {
	isNew := p.log.publish(list, st.complete, forget, now)
	for _, sub := range p.all {
		if isNew && !sub.cursor.waits {
			p.offer(sub, now)
		}
	}
	p.greet(st, now)
}

// keepBeat returns when to call it again.
func (p *clusterPublisher) keepBeat(st standing, now time.Time) time.Time {
	if !now.Before(p.nextBeat) {
		p.nextBeat = now.Add(p.beat)
		for _, sub := range p.all {
			if sub.cursor.plain {
				continue
			}
			if sub.cursor.quiet(now, p.beat) {
				p.offer(sub, now)
			}
			p.nextBeat = earliest(p.nextBeat, sub.cursor.nextBeat(p.beat))
		}
	}
	return p.greet(st, now)
}

func (p *clusterPublisher) greet(st standing, now time.Time) (wake time.Time) {
	wake = p.nextBeat
	for _, sub := range p.all {
		if !sub.cursor.waits {
			continue
		}
		at, ok := p.greeter.dueAt(&sub.cursor, &p.log, st)
		switch {
		case ok && !now.Before(at):
			sub.cursor.greet()
			p.server.oracle.greets()
			p.offer(sub, now)
			continue
		case ok:
			wake = earliest(wake, at)
		}
		if sub.cursor.beat {
			p.offer(sub, now)
		}
	}
	return wake
}

// offer sends what the subscriber lacks.
func (p *clusterPublisher) offer(sub *clusterSubscription, now time.Time) {
	message := p.log.next(&sub.cursor, now)
	if message == nil {
		return
	}
	sent := p.server.c.now
	sub.end.send(func() { sub.feed.received(sub.end.other, message, sent) })
}
