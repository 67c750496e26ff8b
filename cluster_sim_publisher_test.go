package gopherdiscovery

import (
	"slices"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/membership"
	"github.com/dahernan/gopherdiscovery/internal/times"
	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// clusterPublisher does what the publisher of a server does, in the same order.
type clusterPublisher struct {
	server  *clusterServer
	beat    time.Duration
	greeter wire.Greeter
	log     wire.Changelog

	all      []*clusterSubscription
	came     []*clusterSubscription
	gone     []*clusterSubscription
	nextBeat time.Time
}

// clusterSubscription is a connection of a subscriber, as the server knows it.
type clusterSubscription struct {
	end    *clusterEnd
	feed   *clusterFeed
	cursor wire.Cursor
}

func newClusterPublisher(s *clusterServer) clusterPublisher {
	opt := s.c.options
	return clusterPublisher{
		server:  s,
		beat:    wire.BeatFor(opt.PollTime),
		greeter: wire.NewGreeter(opt.PollTime, opt.ReturnTime, membership.LongestWait, s.process.host.time()),
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
	sub := &clusterSubscription{end: e, feed: feed, cursor: wire.NewCursor(false, have, p.server.process.host.time())}
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
		if sub.cursor.Waits {
			sub.cursor.Postpone(by)
		}
	}
}

func (p *clusterPublisher) areWaiting() bool {
	return slices.ContainsFunc(p.all, func(sub *clusterSubscription) bool { return sub.cursor.Waits })
}

func (p *clusterPublisher) publish(list []string, st wire.Standing, forget bool, now time.Time) {
	isNew := p.log.Publish(list, st.Complete, forget, now)
	for _, sub := range p.all {
		if isNew && !sub.cursor.Waits {
			p.offer(sub, now)
		}
	}
	p.greet(st, now)
}

// keepBeat returns when to call it again.
func (p *clusterPublisher) keepBeat(st wire.Standing, now time.Time) time.Time {
	if !now.Before(p.nextBeat) {
		p.nextBeat = now.Add(p.beat)
		for _, sub := range p.all {
			if sub.cursor.Plain {
				continue
			}
			if sub.cursor.Quiet(now, p.beat) {
				p.offer(sub, now)
			}
			p.nextBeat = times.Earliest(p.nextBeat, sub.cursor.NextBeat(p.beat))
		}
	}
	return p.greet(st, now)
}

func (p *clusterPublisher) greet(st wire.Standing, now time.Time) (wake time.Time) {
	wake = p.nextBeat
	for _, sub := range p.all {
		if !sub.cursor.Waits {
			continue
		}
		at, ok := p.greeter.DueAt(&sub.cursor, &p.log, st)
		switch {
		case ok && !now.Before(at):
			sub.cursor.Greet()
			p.server.oracle.greets()
			p.offer(sub, now)
			continue
		case ok:
			wake = times.Earliest(wake, at)
		}
		if sub.cursor.Beat {
			p.offer(sub, now)
		}
	}
	return wake
}

// offer sends what the subscriber lacks.
func (p *clusterPublisher) offer(sub *clusterSubscription, now time.Time) {
	message := p.log.Next(&sub.cursor, now)
	if message == nil {
		return
	}
	sent := p.server.c.now
	sub.end.send(func() { sub.feed.received(sub.end.other, message, sent) })
}
