package membership

import (
	"strings"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/wire"
)

var simStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// surveyed is a detector that surveys clients over their connections.
type surveyed interface {
	connect(id int, now time.Time)
	disconnect(id int, now time.Time)
	answer(id int, now time.Time)
	woke(now time.Time)
	// act returns which clients to survey, which have left the list and joined
	// it, and when to call it again.
	act(now time.Time) (ask, left, joined []int, wake time.Time)
}

// simSurvey runs a detector on a trace, as the server's loop would.
func simSurvey(t *trace, d surveyed) *score {
	s := newScore(t)
	var events simQueue
	for id, c := range t.clients {
		events.push(c.joins, simJoins, id)
		if c.stops < t.until {
			events.push(c.stops, simStops, id)
		}
	}
	down, up := make([]time.Duration, len(t.clients)), make([]time.Duration, len(t.clients))
	for idle, wake := time.Duration(0), time.Duration(0); ; {
		at := t.stalled.after(min(events.next(), max(wake, idle)))
		if at >= t.until {
			return s
		}
		now := simStart.Add(at)
		d.woke(now)
		for events.next() <= at {
			switch kind, id := events.pop(); kind {
			case simJoins:
				d.connect(id, now)
			case simStops:
				d.disconnect(id, now)
			case simAnswers:
				d.answer(id, now)
			}
		}
		ask, left, joined, next := d.act(now)
		for _, id := range left {
			s.goes(id, at)
		}
		for _, id := range joined {
			s.comes(id)
		}
		for _, id := range ask {
			// A segment that follows a lost one waits for it.
			down[id] = max(down[id], t.segment(id, drawDown, at))
			if answered := t.react(id, down[id]); answered != never {
				up[id] = max(up[id], t.segment(id, drawUp, answered))
				read := up[id]
				if runs := t.stalled.after(read); runs > read {
					// What has come in meanwhile is not read at once.
					read = runs + uniform(t.draw(id, drawRead, read), 0, 100*ms)
				}
				events.push(read, simAnswers, id)
			}
		}
		idle, wake = at, next.Sub(simStart)
	}
}

// ours is the detector of the library.
type ours struct {
	*Schedule[int]
	trace *trace
	ids   map[string]int
	list  []string
}

func newOurs(t *trace) *ours {
	o := &ours{Schedule: New[int](Config{}.withDefaults(), simStart), trace: t, ids: make(map[string]int)}
	for id, c := range t.clients {
		o.ids[c.name] = id
	}
	return o
}

func (o *ours) connect(id int, now time.Time) {
	host, _, _ := strings.Cut(o.trace.clients[id].name, ":")
	o.Connect(id, host, now)
}

func (o *ours) disconnect(id int, now time.Time) { o.Disconnect(id, false, now) }

func (o *ours) answer(id int, now time.Time) { _ = o.Hear(id, o.trace.clients[id].name, now) }

func (o *ours) woke(now time.Time) { o.Woke(now) }

// act ignores a list that is not complete, because it is not sent to
// subscribers that have one.
func (o *ours) act(now time.Time) (ask, left, joined []int, wake time.Time) {
	do, wake := o.Next(now)
	ask = do.Survey
	if do.Poll {
		ask = o.All()
	}
	if do.Publish && o.IsComplete() {
		list := o.List()
		removed, added := wire.Compare(o.list, list)
		for _, name := range removed {
			left = append(left, o.ids[name])
		}
		for _, name := range added {
			joined = append(joined, o.ids[name])
		}
		o.list = list
	}
	return ask, left, joined, wake
}

// fixedLimit drops a name that misses a number of surveys in a row, whatever
// that client and others did before. A late answer also ends the silence.
type fixedLimit struct {
	poll
	limit     int
	conns     map[int]*fixedClient
	number    int // of the poll
	unheard   int
	newcomers []int
	joined    []int
}

type fixedClient struct {
	listed         bool
	heardIn, polls int // polls is how many it has missed
}

func newFixedLimit(limit int) *fixedLimit {
	return &fixedLimit{poll: newPoll(Config{}.withDefaults(), simStart), limit: limit, conns: make(map[int]*fixedClient)}
}

func (f *fixedLimit) connect(id int, _ time.Time) {
	f.conns[id] = &fixedClient{heardIn: f.number}
	f.newcomers = append(f.newcomers, id)
}

func (f *fixedLimit) disconnect(id int, _ time.Time) {
	if f.conns[id].heardIn != f.number {
		f.unheard--
	}
	delete(f.conns, id)
}

func (f *fixedLimit) answer(id int, now time.Time) {
	c := f.conns[id]
	if c == nil {
		return
	}
	if c.heardIn != f.number {
		c.heardIn = f.number
		f.unheard--
	}
	if !c.listed {
		f.joined = append(f.joined, id)
	}
	c.listed, c.polls = true, 0
	f.lastAnswer = now
}

func (f *fixedLimit) woke(time.Time) {}

func (f *fixedLimit) act(now time.Time) (ask, left, joined []int, wake time.Time) {
	ask, joined = f.newcomers, f.joined
	f.newcomers, f.joined = nil, nil
	switch {
	case !f.running && isDue(f.dueAt(), now):
		f.number++
		f.unheard = len(f.conns)
		f.begin(now)
		ask = nil
		for id := range f.conns {
			ask = append(ask, id)
		}
	case f.running && (f.unheard == 0 || isDue(f.dueAt(), now) && !f.extend(now)):
		f.end(now)
		for id, c := range f.conns {
			if c.listed && c.heardIn != f.number {
				if c.polls++; c.polls == f.limit {
					c.listed = false
					left = append(left, id)
				}
			}
		}
	}
	return ask, left, joined, f.dueAt()
}

// These are the kinds of events.
const (
	simJoins = iota
	simStops
	simAnswers
	simProbes
	simRefutes
	simExpires
	simRenews
	simEvicts
)

// simQueue is a heap of events. The millisecond, the kind and the client are in
// one number, so that the order is the same in each run.
type simQueue []uint64

// push adds an event. Its time is rounded up to a millisecond.
func (q *simQueue) push(at time.Duration, kind, id int) {
	*q = append(*q, uint64((at+ms-1)/ms)<<24|uint64(kind)<<20|uint64(id))
	h := *q
	for i := len(h) - 1; i > 0 && h[i] < h[(i-1)/2]; i = (i - 1) / 2 {
		h[i], h[(i-1)/2] = h[(i-1)/2], h[i]
	}
}

// next returns the time of the next event.
func (q simQueue) next() time.Duration {
	if len(q) == 0 {
		return never
	}
	return time.Duration(q[0]>>24) * ms
}

func (q *simQueue) pop() (kind, id int) {
	h := *q
	first, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	*q = h
	for i := 0; ; {
		least := i
		for _, child := range []int{2*i + 1, 2*i + 2} {
			if child < last && h[child] < h[least] {
				least = child
			}
		}
		if least == i {
			return int(first >> 20 & 0xF), int(first & 0xFFFFF)
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
