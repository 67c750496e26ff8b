package membership

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/testmain"
	"github.com/dahernan/gopherdiscovery/internal/times"
)

// Whatever happens in whatever order, all counts agree with a count from
// scratch, Next asks for a later call, and nothing is remembered once all is
// quiet.
func TestRandomEvents(t *testing.T) {
	for seed := range uint64(testmain.Rounds(300)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := newRandom(t, seed)
			for r.step = range 200 {
				r.sleep()
				for range r.rng.IntN(4) {
					r.event()
					r.count()
				}
				r.next()
				r.count()
				if t.Failed() {
					t.FailNow()
				}
			}
			r.quiet()
		})
	}
}

// random makes random events.
type random struct {
	*script
	rng  *rand.Rand
	now  time.Time
	wake time.Time
	last int   // the last connection
	open []int // the connections
	step int
}

func newRandom(t *testing.T, seed uint64) *random {
	rng := rand.New(rand.NewPCG(seed, 0))
	config := Config{
		PollTime:      []time.Duration{10 * ms, 2 * time.Second, time.Minute}[rng.IntN(3)],
		JoinInterval:  []time.Duration{-1, 20 * ms, time.Second}[rng.IntN(3)],
		ReturnTime:    []time.Duration{10 * ms, 500 * ms, 5 * time.Second}[rng.IntN(3)],
		SurveyTime:    []time.Duration{50 * ms, time.Second}[rng.IntN(2)],
		MissedSurveys: 1 + rng.IntN(3),
	}
	s := newScript(t, config)
	return &random{script: s, rng: rng, now: s.At(0), wake: s.At(0)}
}

func (r *random) conn() int {
	if len(r.open) == 0 || r.rng.IntN(20) == 0 {
		return r.last + 1 // unknown
	}
	return r.open[r.rng.IntN(len(r.open))]
}

func (r *random) name() string { return fmt.Sprint(r.rng.IntN(12)) }

// sleep lets some time pass, in which the server is stopped now and then.
func (r *random) sleep() {
	switch r.rng.IntN(30) {
	case 0:
		r.pass(time.Duration(r.rng.IntN(60000)) * ms)
	case 1:
		r.now = r.now.Add(time.Duration(r.rng.IntN(3000)) * ms) // stopped
	case 2, 3, 4, 5, 6, 7, 8:
	default:
		r.pass(time.Duration(r.rng.IntN(60)) * ms)
	}
	r.Woke(r.now)
}

func (r *random) event() {
	switch n := r.rng.IntN(20); {
	case n < 5:
		r.last++
		r.open = append(r.open, r.last)
		r.Connect(r.last, fmt.Sprint(r.rng.IntN(4)), r.now)
	case n < 8:
		c := r.conn()
		r.Disconnect(c, r.rng.IntN(2) == 0, r.now)
		r.open = slices.DeleteFunc(r.open, func(other int) bool { return other == c })
	case n == 8 && r.rng.IntN(3) == 0:
		for _, c := range r.open[r.rng.IntN(len(r.open)+1):] {
			r.Disconnect(c, r.rng.IntN(2) == 0, r.now)
			r.open = slices.DeleteFunc(slices.Clone(r.open), func(other int) bool { return other == c })
		}
	case n < 11:
		r.Leave(r.conn(), r.name(), r.now)
	case n == 11:
		r.Check(r.conn(), r.name(), r.now)
	case n == 12:
		r.CheckEnded(r.conn())
	case n == 13:
		r.SetHandshakes(Handshakes{Waiting: r.rng.IntN(2) == 0, Late: r.now, Began: r.now})
	default:
		_ = r.Hear(r.conn(), r.name(), r.now)
	}
}

// pass lets time pass. Next is called whenever it has asked for it.
func (r *random) pass(d time.Duration) {
	for until := r.now.Add(d); ; {
		if r.wake.After(until) {
			r.now = until
			return
		}
		r.now = times.Latest(r.now, r.wake)
		r.Woke(r.now)
		r.next()
	}
}

func (r *random) next() {
	_, r.wake = r.Next(r.now)
	if !r.wake.After(r.now) || r.wake.Sub(r.now) > tick {
		r.t.Fatalf("step %d: got a call of Next after %v, want it later, within a tick", r.step, r.wake.Sub(r.now))
	}
	r.expectBounds()
}

// expectBounds expects that no name is away for too long.
func (r *random) expectBounds() {
	r.t.Helper()
	d := &r.departures
	for _, list := range []struct {
		name  string
		all   []*absence
		bound time.Duration
	}{
		{"gathered", d.gathered, longestEndsWait},
		{"returning", d.returning, longestOutage + d.returnTime + LongestWait},
	} {
		for _, a := range list.all {
			if away := r.running(r.now).Sub(a.since); r.departures.isAway(a) && away >= list.bound {
				r.t.Errorf("step %d: %s is %s after %v", r.step, a.name, list.name, away)
			}
		}
	}
}

// expectCount compares a count with one from scratch.
func (r *random) expectCount(what string, got, want int) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("step %d: %s: got %d, want %d", r.step, what, got, want)
	}
}

func (r *random) count() {
	r.t.Helper()
	unheard, total, size := 0, 0, 0
	announced, heard := make(map[string]int), make(map[string]bool)
	for _, m := range r.roster.conns {
		total += len(m.names)
		for name, p := range m.names {
			announced[name]++
			heard[name] = heard[name] || p.silent < silentPolls
			if p.answeredPoll != r.roster.poll {
				unheard++
			}
		}
	}
	away := 0
	for name, e := range r.roster.names {
		size += 1 + len(name)
		r.expectCount("connections of "+name, e.conns, announced[name])
		if e.conns > 0 {
			continue
		}
		away++
		if r.departures.away[name] == nil {
			r.t.Errorf("step %d: %s is on the list without a connection, and not away", r.step, name)
		}
	}
	r.expectCount("connections", len(r.roster.conns), len(r.open))
	r.expectCount("unheard", r.roster.unanswered, unheard)
	r.expectCount("total", r.roster.total, total)
	r.expectCount("size", r.roster.size, size)
	all := 0
	for _, is := range heard {
		if is {
			all++
		}
	}
	r.expectCount("heard", r.roster.heard, all)
	r.expectCount("names", len(r.roster.names), len(announced)+away)
	r.countDepartures(away)
}

func (r *random) countDepartures(away int) {
	r.t.Helper()
	d := &r.departures
	var waits []*absence
	for _, a := range slices.Concat(d.returning, d.gathered) {
		if d.isAway(a) {
			waits = append(waits, a)
		}
	}
	ended := 0
	for _, a := range d.recent {
		if d.ended[a.name] == a {
			ended++
		}
	}
	r.expectCount("absences that wait", len(waits), away)
	r.expectCount("absences", len(d.away), away)
	r.expectCount("ends", len(d.ended), ended)
	for _, all := range [][]*absence{d.recent, d.returning, d.gathered} {
		if !slices.IsSortedFunc(all, func(a, b *absence) int { return a.since.Compare(b.since) }) {
			r.t.Errorf("step %d: absences are not in the order of their ends", r.step)
		}
	}
}

// quiet ends all connections, and expects that nothing is left of them.
func (r *random) quiet() {
	for _, c := range r.open {
		r.Disconnect(c, r.rng.IntN(2) == 0, r.now)
	}
	r.SetHandshakes(Handshakes{})
	r.next()
	r.pass(time.Minute)
	j, d := &r.joins, &r.departures
	r.expectCount("names in the end", len(r.List())+len(r.roster.names)+len(r.roster.dirty), 0)
	r.expectCount("newcomers in the end", len(j.newcomers)+len(j.asked)+len(j.recent), 0)
	r.expectCount("absences in the end", len(d.away)+len(d.ended)+len(d.gathered)+len(d.returning)+len(d.recent), 0)
}
