package membership

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"time"
)

const (
	simClients = 1000     // alive at any time
	simSeed    = 20150406 // of everything random
	// simHangs is the mean time between two clients that hang for good.
	simHangs = 20 * time.Second
	// simEnds is how long the connection of a hung client stands.
	simEnds = 5 * time.Minute

	// simRTO is TCP's retransmission timeout where a round trip takes 0.5 s.
	// simMostRTO is how many times in a row a segment is lost at most: the
	// sixth retransmission would be 38 s after the first transmission, when TCP
	// has already given up the connection (vanishedAfter). The detectors do not
	// see that as silence.
	simRTO     = 600 * ms
	simMostRTO = 5

	never = time.Duration(math.MaxInt64)
)

// world is a network and the hosts on it. Its functions draw from the random
// numbers that they are given, and from no others.
type world struct {
	name string
	path func(r *rand.Rand) time.Duration // how long a packet travels
	loss float64                          // share of packets lost
	// few says that one client in ten is on this path, and the others on lan.
	few bool
	// work is how long a client takes from a survey to its answer. pauses are
	// the times at which the client does not run, and stalls those at which the
	// server does not.
	work   func(r *rand.Rand, id int, at time.Duration) time.Duration
	pauses func(r *rand.Rand, id int, until time.Duration) spans
	stalls func(r *rand.Rand, until time.Duration) spans

	cruel bool // two missed surveys are too few here
	// unfair says that at first a client that hangs cannot be told from a slow
	// one.
	unfair bool
	// tooLong says that clients hang for longer than any silence is tolerated.
	tooLong bool
}

// lan is the path of a healthy network. A round trip usually takes about 1 ms.
func lan(r *rand.Rand) time.Duration { return lognormal(r, 500*time.Microsecond, 0.4) }

func wan(r *rand.Rand) time.Duration { return 40*ms + uniform(r, 0, 10*ms) + lognormal(r, ms, 1) }

func far(r *rand.Rand) time.Duration { return uniform(r, 200*ms, 300*ms) }

func lognormal(r *rand.Rand, median time.Duration, sigma float64) time.Duration {
	return time.Duration(float64(median) * math.Exp(sigma*r.NormFloat64()))
}

func uniform(r *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(r.Int64N(int64(to-from)))
}

// overloaded is how long an overloaded host takes.
func overloaded(r *rand.Rand) time.Duration { return uniform(r, 0, 20*time.Second) }

var simWorlds = []world{
	{name: "healthy LAN, 1 ms", path: lan},
	{name: "WAN, 80 ms", path: wan},
	{name: "lossy path, 500 ms, 10 % lost", path: far, loss: 0.1, cruel: true},
	{name: "lossy path for 10 % of the clients", path: far, loss: 0.1, few: true, cruel: true},
	{
		name: "pauses of about 1 s (GC)", path: lan,
		pauses: func(r *rand.Rand, _ int, until time.Duration) spans {
			return every(r, 30*time.Second, until, func() time.Duration { return uniform(r, 500*ms, 1500*ms) })
		},
	},
	{
		name: "overload, one minute in ten", path: lan, cruel: true,
		work: func(r *rand.Rand, _ int, at time.Duration) time.Duration {
			if at%(10*time.Minute)/time.Minute == 2 {
				return overloaded(r)
			}
			return 0
		},
	},
	{
		name: "WAN, server stalls for 5 s", path: wan,
		stalls: func(r *rand.Rand, until time.Duration) spans {
			return every(r, 20*time.Second, until, func() time.Duration { return 5 * time.Second })
		},
	},
	{name: "30 % hang for 28 s together", path: lan, cruel: true, pauses: together(28 * time.Second)},
	{name: "30 % hang for 40 s together", path: lan, cruel: true, tooLong: true, pauses: together(40 * time.Second)},
	{
		name: "pauses of 10 s, every 2 min", path: lan, cruel: true, unfair: true,
		pauses: func(r *rand.Rand, _ int, until time.Duration) spans {
			return every(r, 2*time.Minute, until, func() time.Duration { return 10 * time.Second })
		},
	},
	{
		name: "10 % take up to 20 s, always", path: lan, cruel: true, unfair: true,
		work: func(r *rand.Rand, id int, _ time.Duration) time.Duration {
			if id%10 == 0 {
				return overloaded(r)
			}
			return 0
		},
	},
}

// together returns the pauses of three clients in ten, which hang for a while
// at nearly the same time, twice in five minutes.
func together(length time.Duration) func(*rand.Rand, int, time.Duration) spans {
	return func(r *rand.Rand, id int, until time.Duration) (s spans) {
		for at := 2 * time.Minute; id%10 < 3 && at < until; at += 5 * time.Minute {
			for _, again := range []time.Duration{0, 75 * time.Second} {
				from := at + again + uniform(r, 0, 6*time.Second)
				s = append(s, span{from, from + length})
			}
		}
		return s
	}
}

// span is a time during which a host does not run.
type span struct{ from, till time.Duration }

type spans []span

// every returns spans that begin at random times, with a mean pause between
// them.
func every(r *rand.Rand, pause, until time.Duration, length func() time.Duration) (s spans) {
	for at := time.Duration(0); ; {
		at += 5*time.Second + time.Duration(r.ExpFloat64()*float64(pause))
		if at >= until {
			return s
		}
		s = append(s, span{at, at + length()})
		at = s[len(s)-1].till
	}
}

// after returns the first time from now on at which the host runs.
func (s spans) after(now time.Duration) time.Duration {
	i := sort.Search(len(s), func(i int) bool { return s[i].till > now })
	if i < len(s) && s[i].from <= now {
		return s[i].till
	}
	return now
}

// trace is what happens in a world. Everything random in it depends only on the
// client and the millisecond, so that it is the same for all detectors.
type trace struct {
	world
	until   time.Duration
	clients []simClient
	stalled spans
	source  *rand.PCG
	dice    *rand.Rand
}

// simClient is a client from its start to its end. When it hangs for good,
// another takes its place.
type simClient struct {
	name                string
	joins, hangs, stops time.Duration
	paused              spans
}

// These are the purposes of random numbers.
const (
	drawClient = iota
	drawHangs
	drawDown
	drawWork
	drawUp
	drawRead
	drawTarget
	drawHelper
)

func newTrace(w world, until time.Duration) *trace {
	t := &trace{world: w, until: until, source: rand.NewPCG(0, 0)}
	t.dice = rand.New(t.source)
	for range simClients {
		t.join(0)
	}
	var hangs []time.Duration
	for _, s := range every(t.draw(0, drawHangs, 0), simHangs, until, func() time.Duration { return 0 }) {
		hangs = append(hangs, s.from)
	}
	for _, at := range hangs {
		id := t.draw(0, drawHangs, at).IntN(len(t.clients))
		if t.clients[id].hangs == never {
			t.clients[id].hangs, t.clients[id].stops = at, at+simEnds
			t.join(at)
		}
	}
	if w.stalls != nil {
		t.stalled = w.stalls(t.draw(0, drawHangs, 1), until)
	}
	return t
}

func (t *trace) join(at time.Duration) {
	id := len(t.clients)
	c := simClient{name: fmt.Sprintf("10.0.%d.%d:7000", id/250, id%250), joins: at, hangs: never, stops: never}
	if t.pauses != nil {
		c.paused = t.pauses(t.draw(id, drawClient, 0), id, t.until)
	}
	t.clients = append(t.clients, c)
}

// draw returns the random numbers for a client, a purpose and a time. They are
// valid until the next call.
func (t *trace) draw(id, purpose int, at time.Duration) *rand.Rand {
	t.source.Seed(simSeed+uint64(id)<<8+uint64(purpose), uint64(at/ms))
	t.source.Uint64()
	return t.dice
}

// segment returns when a segment sent on a TCP connection arrives.
func (t *trace) segment(id, purpose int, at time.Duration) time.Duration {
	r := t.draw(id, purpose, at)
	if t.few && id%10 > 0 {
		return at + lan(r)
	}
	for n := 0; n < simMostRTO && r.Float64() < t.loss; n++ {
		at += simRTO << n
	}
	return at + t.path(r)
}

// packet returns when a packet arrives. Packets are not retransmitted.
func (t *trace) packet(id, purpose int, at time.Duration) time.Duration {
	if at == never {
		return never
	}
	r := t.draw(id, purpose, at)
	if t.few && id%10 > 0 {
		return at + lan(r)
	}
	if r.Float64() < t.loss {
		return never
	}
	return at + t.path(r)
}

// react returns when a client reacts to what arrives.
func (t *trace) react(id int, at time.Duration) time.Duration {
	c := &t.clients[id]
	if at == never {
		return never
	}
	at = c.paused.after(at)
	if t.work != nil {
		at += t.work(t.draw(id, drawWork, at), id, at)
	}
	if at >= c.hangs {
		return never
	}
	return at
}

// score is how well a detector does on a trace.
type score struct {
	*trace
	listed map[int]bool
	leaves map[int]int     // of living clients, for each
	found  []time.Duration // how long it took to notice a hung one
}

func newScore(t *trace) *score {
	return &score{trace: t, listed: make(map[int]bool), leaves: make(map[int]int)}
}

func (s *score) comes(id int) { s.listed[id] = true }

// goes records that a client is no longer listed.
func (s *score) goes(id int, at time.Duration) {
	if !s.listed[id] {
		return
	}
	delete(s.listed, id)
	if hung := s.clients[id].hangs; at < hung {
		s.leaves[id]++
	} else {
		s.found = append(s.found, at-hung)
	}
}

// falseLeaves returns how often living clients left the list, in all and for
// one client at most.
func (s *score) falseLeaves() (all, most int) {
	for _, n := range s.leaves {
		all += n
		most = max(most, n)
	}
	return all, most
}

// quantile returns the time within which the share q of the hung clients was
// noticed.
func (s *score) quantile(q float64) time.Duration {
	if len(s.found) == 0 {
		return 0
	}
	slices.Sort(s.found)
	return s.found[max(0, int(math.Ceil(q*float64(len(s.found))))-1)]
}
