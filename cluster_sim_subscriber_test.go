package gopherdiscovery

import (
	"errors"
	"slices"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sp"
	"github.com/dahernan/gopherdiscovery/internal/times"
	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// clusterSubscriber is a subscriber, which keeps the list.
type clusterSubscriber struct {
	c         *clusterSim
	name      string
	process   *clusterProcess
	sources   *wire.Sources
	feeds     []*clusterFeed // one for each source
	list      []string
	gone      map[string]time.Duration  // when names have left its list after their end
	removed   map[string][]*wire.Source // the servers that have removed a name
	woke      time.Duration             // when it was last stopped or suspended until
	alarm     times.Alarm
	timer     int           // the number of the last timer
	calmSince time.Duration // since then no fault of its own has an effect
}

// clusterFeed is what a subscriber has to do with one server.
type clusterFeed struct {
	subscriber *clusterSubscriber
	address    *clusterAddress
	source     *wire.Source
	end        *clusterEnd // nil while it is not connected
	failures   int
	since      time.Duration // when last connected
	awaited    bool          // attempts have failed before the first connection
	have       *uint64       // what it says in HAVE on its next connection
}

func (c *clusterSim) startSubscriber(name string) {
	s := &clusterSubscriber{c: c, name: name, process: newClusterProcess(c.newHost(name)), gone: make(map[string]time.Duration), removed: make(map[string][]*wire.Source)}
	c.subscribers = append(c.subscribers, s)
	s.disturb(0)
	var urls []string
	for _, a := range c.addresses {
		urls = append(urls, a.name)
	}
	s.sources = wire.NewSources(urls)
	for i, a := range c.addresses {
		f := &clusterFeed{subscriber: s, address: a, source: s.sources.All[i]}
		s.feeds = append(s.feeds, f)
		f.dial()
	}
	c.log("%s starts", name)
}

func (f *clusterFeed) dial() {
	s := f.subscriber
	s.c.dial(s.process, f.address, clusterLists, func(e *clusterEnd) {
		if e == nil {
			f.redial()
			return
		}
		waiting := true
		over := func() {
			if waiting {
				waiting = false
				f.redial()
			}
		}
		e.feed = f
		e.onEnd = over
		e.welcome = func() {
			if waiting {
				waiting = false
				f.connected(e)
			}
		}
		s.process.after(sp.HandshakeTime, func() {
			if waiting {
				e.close()
				over()
			}
		})
	})
}

func (f *clusterFeed) redial() {
	pause := sp.RedialDelay(f.failures, f.subscriber.c.rng.Float64())
	f.failures++
	f.subscriber.process.after(pause, f.dial)
}

func (f *clusterFeed) connected(e *clusterEnd) {
	f.awaited = f.since == 0 && f.failures > 0
	f.end, f.since = e, f.subscriber.c.now
	e.onEnd = func() { f.lost(e) }
}

// welcomed returns what it says in HAVE.
func (f *clusterFeed) welcomed(beat time.Duration) (have *uint64) {
	f.subscriber.change(0, func(now time.Time) { f.source.Connect(beat, f.awaited, now) })
	return f.have
}

func (f *clusterFeed) lost(e *clusterEnd) {
	if f.end != e {
		return
	}
	e.close()
	f.end = nil
	if f.subscriber.c.now-f.since > sp.RedialMax {
		f.failures = 0
	}
	f.subscriber.change(0, func(now time.Time) { f.subscriber.sources.Disconnect(f.source, now) })
	f.redial()
}

// received takes a message that was sent at a time.
func (f *clusterFeed) received(e *clusterEnd, message []byte, sent time.Duration) {
	if f.end != e {
		return
	}
	u, err := wire.DecodeUpdate(message)
	before := f.source.List
	if err == nil {
		f.subscriber.change(sent, func(now time.Time) { err = f.subscriber.sources.Take(f.source, u, now) })
	}
	removed, _ := wire.Compare(before, f.source.List)
	for _, name := range removed {
		f.subscriber.removed[name] = append(f.subscriber.removed[name], f.source)
	}
	switch {
	case err == nil && f.source.List != nil:
		sum := f.source.Sum
		f.have = &sum
	case errors.Is(err, wire.ErrOtherList):
		f.source.Forget()
		f.have = nil
	case err != nil:
		f.subscriber.c.oracle.fail("%s distrusts %s: %v", f.subscriber.name, f.address.name, err)
	}
	if err != nil {
		f.lost(e)
	}
}

// change does what Subscriber.change does.
func (s *clusterSubscriber) change(sent time.Duration, do func(now time.Time)) {
	now := s.process.host.time()
	if late := s.alarm.Stopped(now, peerHalt); late > 0 {
		s.sources.Excuse(now, late)
		s.alarm.At = now
	}
	do(now)
	if list := s.sources.Union(); list != nil {
		s.deliver(list, sent)
	}
	if due := s.sources.Deadline(); !due.IsZero() && (s.alarm.At.IsZero() || due.Before(s.alarm.At)) {
		s.wake(due)
	}
}

func (s *clusterSubscriber) wake(at time.Time) {
	s.alarm.At = at
	s.timer++
	number := s.timer
	s.process.after(at.Sub(s.process.host.time()), func() {
		if s.timer == number {
			s.checkSilence()
		}
	})
}

// checkSilence does what Subscriber.checkSilence does.
func (s *clusterSubscriber) checkSilence() {
	var lost []*wire.Source
	s.change(0, func(now time.Time) {
		lost = s.sources.CheckSilence(now)
		s.alarm.At = time.Time{}
	})
	for _, f := range s.feeds {
		if f.end != nil && slices.Contains(lost, f.source) {
			s.c.log("%s gives up %s", s.name, f.address.name)
			f.lost(f.end)
		}
	}
}

func (s *clusterSubscriber) deliver(list []string, sent time.Duration) {
	removed, added := wire.Compare(s.list, list)
	if s.list != nil && len(removed)+len(added) == 0 {
		return
	}
	if s.list == nil {
		s.c.oracle.first(s, list)
	}
	s.list = list
	s.c.log("%s: -%v +%v", s.name, removed, added)
	s.c.oracle.changed(s, removed, added, sent)
}

// disturb records that a fault of the subscriber has an effect for a time.
func (s *clusterSubscriber) disturb(d time.Duration) {
	s.calmSince = max(s.calmSince, s.c.now+s.c.recovery(d))
}

// returned reports whether a name that a list adds, in a message that was sent at
// a time, is dead. A subscriber that was stopped or suspended reads what came
// meanwhile from one server after the other, and cannot know what is older.
func (s *clusterSubscriber) returned(name string, sent time.Duration) bool {
	left, gone := s.gone[name]
	return gone && (left < s.woke || sent == 0 || sent >= s.woke)
}

// couldKnow reports whether another server than the one that lists a name has
// removed it. Nobody can know that a name is dead which only that server has
// ever listed, and removes when it knows.
func (s *clusterSubscriber) couldKnow(name string) bool {
	return slices.ContainsFunc(s.removed[name], func(src *wire.Source) bool {
		_, lists := slices.BinarySearch(src.List, name)
		return !lists
	})
}

func (s *clusterSubscriber) has(name string) bool {
	_, has := slices.BinarySearch(s.list, name)
	return has
}
