package gopherdiscovery

import (
	"errors"
	"slices"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/membership"
	"github.com/dahernan/gopherdiscovery/internal/sp"
	"github.com/dahernan/gopherdiscovery/internal/times"
	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// clusterPort is what a connection to a server is for.
type clusterPort int

const (
	clusterSurveys clusterPort = iota
	clusterLists
)

// clusterProcessors is how many handshakes a server computes at the same time.
const clusterProcessors = 2

// clusterServer is a server process, from its start to its end.
type clusterServer struct {
	c       *clusterSim
	process *clusterProcess
	plan    *membership.Schedule[*clusterSession]
	started time.Duration

	sessions int // so far
	came     []*clusterSession
	answered []clusterAnswer
	ended    []*clusterSession
	rung     bool
	busy     time.Duration // until then its loop is busy, by its machine's clock
	timer    int           // the number of the last timer

	waiting   []*clusterHandshake // for a processor
	computing int
	surveys   int                   // handshakes of clients that wait for the server
	state     membership.Handshakes // of clients

	list      []string
	publisher clusterPublisher
	oracle    serverOracle
}

// clusterSession is a connection of a client, as the server knows it.
type clusterSession struct {
	server *clusterServer
	number int
	end    *clusterEnd
	link   *clusterLink
	host   string
}

type clusterAnswer struct {
	from   *clusterSession
	name   string
	leaves bool
}

// clusterHandshake is a handshake in progress.
type clusterHandshake struct {
	end   *clusterEnd
	to    clusterPort
	since time.Duration
}

// startServer starts a server on a machine.
func (c *clusterSim) startServer(h *clusterHost) *clusterServer {
	s := &clusterServer{c: c, process: newClusterProcess(h), started: c.now, list: []string{}}
	s.plan = membership.New[*clusterSession](c.options.membership(), h.time())
	s.publisher = newClusterPublisher(s)
	s.oracle = newServerOracle(s)
	h.listens = s
	s.wake(h.clock())
	c.log("%s: server starts", h.name)
	return s
}

// exit ends the process.
func (s *clusterServer) exit() {
	s.process.host.listens = nil
	s.process.exit()
	c := s.c
	c.log("%s: server ends", s.process.host.name)
}

// accept is called by the machine: the connection waits for the process.
func (s *clusterServer) accept(e *clusterEnd, to clusterPort) {
	s.process.run(func() {
		h := &clusterHandshake{e, to, s.process.host.clock()}
		if to == clusterSurveys {
			s.surveys++
			s.state.Began = s.process.host.time()
		}
		s.waiting = append(s.waiting, h)
		s.compute()
	})
}

// compute computes handshakes. Those that the other side has given up cost
// nothing.
func (s *clusterServer) compute() {
	for len(s.waiting) > 0 && s.computing < clusterProcessors {
		h := s.waiting[0]
		s.waiting = s.waiting[1:]
		if h.end.finished {
			s.computed(h)
			continue
		}
		s.computing++
		s.process.after(s.c.handshakeCost, func() {
			s.computing--
			s.computed(h)
			h.end.send(func() {
				h.end.other.welcome()
				h.end.other.send(func() { s.begin(h) })
			})
			s.compute()
		})
	}
}

// computed records that a handshake does not wait for the server any more.
func (s *clusterServer) computed(h *clusterHandshake) {
	if h.to != clusterSurveys {
		return
	}
	s.surveys--
	if s.process.host.clock()-h.since > sp.LongWait {
		s.state.Late = s.process.host.time()
	}
}

// begin begins the session of a connection.
func (s *clusterServer) begin(h *clusterHandshake) {
	if h.to == clusterLists {
		s.publisher.welcome(h.end)
		return
	}
	s.sessions++
	peer := h.end.other
	r := &clusterSession{server: s, number: s.sessions, end: h.end, link: peer.link, host: peer.process.host.name}
	peer.session = r
	h.end.onEnd = func() {
		s.ended = append(s.ended, r)
		s.ring()
	}
	s.came = append(s.came, r)
	s.ring()
}

// answer is called when the server reads an answer.
func (s *clusterServer) answer(a clusterAnswer) {
	s.answered = append(s.answered, a)
	s.ring()
}

// ring wakes the loop.
func (s *clusterServer) ring() {
	if s.rung {
		return
	}
	s.rung = true
	s.process.after(max(s.busy-s.process.host.clock(), s.c.between(0, 200*time.Microsecond)), s.loop)
}

// wake calls the loop at a time by the machine's clock.
func (s *clusterServer) wake(at time.Duration) {
	s.timer++
	number := s.timer
	s.process.after(max(at, s.busy)-s.process.host.clock(), func() {
		if s.timer == number {
			s.loop()
		}
	})
}

// loop does what the loop of a server does, in the same order.
func (s *clusterServer) loop() {
	if s.process.host.clock() < s.busy { // a late ring and a late timer
		s.wake(s.busy)
		return
	}
	s.rung = false
	now := s.process.host.time()
	s.publisher.stopped(s.plan.Woke(now))
	came, answered, ended := s.came, s.answered, s.ended
	s.came, s.answered, s.ended = nil, nil, nil
	for _, r := range came {
		s.plan.Connect(r, r.host, now)
	}
	for _, a := range answered {
		s.oracle.answered(a)
		if a.leaves {
			s.plan.Leave(a.from, a.name, now)
		} else {
			_ = s.plan.Hear(a.from, a.name, now)
		}
	}
	for _, r := range ended {
		s.oracle.ended(r)
		s.plan.Disconnect(r, r.end.timedOut, now)
	}
	s.publisher.take()
	s.state.Waiting = s.surveys > 0
	if s.plan.NeedsHandshakes() || s.publisher.areWaiting() {
		s.plan.SetHandshakes(s.state)
	}
	do, wake := s.plan.Next(now)
	s.act(do, now)
	s.busy = s.process.host.clock() + s.c.between(0, s.c.loopTime)
	s.wake(times.Earliest(wake, s.publisher.keepBeat(standingOf(s.plan, now), now)).Sub(clusterEpoch))
}

func (s *clusterServer) act(do membership.Actions[*clusterSession], now time.Time) {
	asked := do.Survey
	if do.Poll {
		asked = append(s.plan.All(), asked...)
		slices.SortFunc(asked, func(a, b *clusterSession) int { return a.number - b.number })
		asked = slices.Compact(asked)
	}
	for _, r := range asked {
		r.end.send(r.end.other.onSurvey)
	}
	if do.Publish {
		s.oracle.published(s.plan.List())
		s.list = s.plan.List()
		s.publisher.publish(s.list, standingOf(s.plan, now), do.Forget, now)
	}
}

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
			if sub.cursor.MarkBeat(now, p.beat) {
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
		if sub.cursor.BeatDue {
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

// clusterClient is a client: a process with a name.
type clusterClient struct {
	c       *clusterSim
	name    string
	process *clusterProcess
	links   []*clusterLink // to each server
	end     clusterEnding
	ended   time.Duration
}

// clusterLink is what a client has to do with one server: a connection, and
// beside it another one while it doubts the first.
type clusterLink struct {
	client   *clusterClient
	address  *clusterAddress
	failures int
	since    time.Duration // when last connected
	main     *clusterEnd
	beside   *clusterEnd // connected, and not surveyed
	dialing  bool

	detector failureDetector
	wrong    int // doubts in a row that have proved wrong
	doubts   bool
	timer    int // the number of the last timer
	watch    clusterWatch
}

// startClient starts a client on a machine of its own or on one of others.
func (c *clusterSim) startClient(name string, h *clusterHost) *clusterClient {
	l := &clusterClient{c: c, name: name, process: newClusterProcess(h)}
	c.clients = append(c.clients, l)
	for _, a := range c.addresses {
		link := &clusterLink{client: l, address: a}
		l.links = append(l.links, link)
		link.watch.link = link
		link.watch.update()
		link.dial()
	}
	c.log("%s starts", name)
	c.oracle.checkJoin(l)
	return l
}

func (l *clusterLink) dial() {
	l.dialing = true
	p := l.client.process
	l.client.c.dial(p, l.address, clusterSurveys, func(e *clusterEnd) {
		if e == nil {
			l.redial()
			return
		}
		connected := false
		e.link = l
		e.onEnd = func() {
			if !connected {
				connected = true // and ended
				l.redial()
			}
		}
		e.welcome = func() {
			if !connected {
				connected = true
				l.connected(e)
			}
		}
		p.after(sp.HandshakeTime, func() {
			if !connected {
				connected = true
				e.close()
				l.redial()
			}
		})
	})
}

// redial dials again after a pause, unless that is needless.
func (l *clusterLink) redial() {
	l.dialing = false
	if l.main != nil && !l.doubts {
		return
	}
	l.dialing = true
	pause := sp.RedialDelay(l.failures, l.client.c.rng.Float64())
	l.failures++
	l.client.process.after(pause, func() {
		if l.main != nil && !l.doubts {
			l.dialing = false
			return
		}
		l.dial()
	})
}

func (l *clusterLink) connected(e *clusterEnd) {
	l.dialing = false
	e.onSurvey = func() { l.surveyed(e) }
	e.onEnd = func() { l.lost(e) }
	switch {
	case l.main == nil:
		l.use(e)
	case l.doubts:
		l.beside = e
	default:
		e.close()
	}
}

// use makes a connection the one of the client.
func (l *clusterLink) use(e *clusterEnd) {
	l.main, l.beside, l.doubts = e, nil, false
	l.since = l.client.c.now
	l.detector.connected(l.client.process.host.time())
	l.expect()
}

func (l *clusterLink) lost(e *clusterEnd) {
	switch e {
	case l.beside:
		l.beside = nil
	case l.main:
		l.main = nil
		if l.client.c.now-l.since > sp.RedialMax {
			l.failures = 0
		}
		if l.beside != nil {
			l.use(l.beside)
			return
		}
	}
	if !l.dialing {
		l.redial()
	}
}

func (l *clusterLink) surveyed(e *clusterEnd) {
	c, p := l.client.c, l.client.process
	var old *clusterEnd
	if e == l.beside {
		old = l.main
		l.use(e)
	} else if l.doubts {
		l.doubts = false
		l.wrong++
		if l.beside != nil {
			l.beside.close()
			l.beside = nil
		}
	}
	l.detector.surveyed(p.host.time())
	l.expect()
	p.after(c.between(0, c.react), func() {
		l.answer(e, false)
	})
	if old != nil {
		l.retire(old, e)
	}
}

// retire closes a connection that another one has replaced.
func (l *clusterLink) retire(old, by *clusterEnd) {
	l.client.process.after(replacedTime, func() {
		if l.main == by && len(by.outgoing) > 0 {
			l.retire(old, by)
		} else {
			old.close()
		}
	})
}

func (l *clusterLink) answer(e *clusterEnd, leaves bool) {
	r, name, read := e.session, l.client.name, false
	e.answered = true
	e.send(func() {
		read = true
		r.server.answer(clusterAnswer{r, name, leaves})
	})
	l.client.process.after(ackTime, func() {
		if !read && e == l.main && !e.closed {
			l.doubt()
		}
	})
}

// expect sets the time of the next doubt.
func (l *clusterLink) expect() {
	l.timer++
	number := l.timer
	if l.detector.pauses < minPauses {
		return
	}
	wait := max(missedPauses*l.detector.pause, shortestDoubt) << min(l.wrong, 4)
	l.client.process.after(wait, func() {
		if l.timer == number && l.main != nil {
			l.doubt()
		}
	})
}

// doubt dials another connection beside the one that seems dead.
func (l *clusterLink) doubt() {
	if l.doubts {
		return
	}
	l.client.c.log("%s doubts %s", l.client.name, l.address.name)
	l.doubts = true
	if !l.dialing && l.beside == nil {
		l.failures = 0
		l.dial()
	}
}

// clusterEnding is how a client ends.
type clusterEnding int

const (
	clusterLives clusterEnding = iota
	clusterLeaves
	clusterKilled
	clusterHangs
	clusterVanishes
)

func (e clusterEnding) String() string {
	return [...]string{"lives", "leaves", "is killed", "hangs", "vanishes"}[e]
}

// die ends a client.
func (l *clusterClient) die(end clusterEnding) {
	if l.end != clusterLives {
		return
	}
	l.end = end
	l.c.log("%s %s", l.name, end)
	switch end {
	case clusterLeaves:
		for _, link := range l.links {
			for _, e := range []*clusterEnd{link.main, link.beside} {
				if e != nil && e.answered {
					link.answer(e, true)
				}
			}
		}
		l.process.exit()
	case clusterKilled:
		l.process.exit()
	case clusterHangs:
		l.process.stopped = true
	case clusterVanishes:
		l.process.host.dead = true
	}
	l.c.oracle.died(l)
}

func (c *clusterSim) living() []*clusterClient {
	return slices.DeleteFunc(slices.Clone(c.clients), func(l *clusterClient) bool { return l.end != clusterLives })
}

// clusterSubscriber is a subscriber, which keeps the list.
type clusterSubscriber struct {
	c            *clusterSim
	name         string
	process      *clusterProcess
	sources      *wire.Sources
	feeds        []*clusterFeed // one for each source
	list         []string
	gone         map[string]time.Duration  // when names have left its list after their end
	removed      map[string][]*wire.Source // the servers that have removed a name
	woke         time.Duration             // when it was last stopped or suspended until
	alarm        times.Alarm
	timer        int           // the number of the last timer
	settledSince time.Duration // since then no fault of its own has an effect
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
		f.subscriber.change(sent, func(now time.Time) { err = f.subscriber.sources.Receive(f.source, u, now) })
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
	s.settledSince = max(s.settledSince, s.c.now+s.c.recovery(d))
}

// returned reports whether a name that a list adds, in a message that was sent
// at a time, is dead. A subscriber that was stopped or suspended reads what
// came meanwhile from one server after the other, and cannot know what is
// older.
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
