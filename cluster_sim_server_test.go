package gopherdiscovery

import (
	"slices"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/membership"
	"github.com/dahernan/gopherdiscovery/internal/sp"
	"github.com/dahernan/gopherdiscovery/internal/times"
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
		s.plan.Handshakes(s.state)
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
		s.publisher.publish(s.list, standingOf(s.plan, now), do.Returned, now)
	}
}
