package wire

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/testclock"
)

// view is what a subscriber sees of its servers, which are named a, b and c,
// and have a beat of a second. Time passes as fast as the script says.
type view struct {
	*Sources
	t     *testing.T
	clock testclock.Clock
	now   int // in milliseconds
}

// run runs a script, a line at a time. A line begins with a time in seconds.
// Then it has events of servers, and the union that must follow from them. A
// server can "connect", perhaps with another beat in seconds, be "lost", be
// "silent" from then on, send a "beat", be "held", and "+" or "-" a name, or
// send a "list". A server that is connected and not silent also sends a beat
// every second.
func (w *view) run(script string) {
	w.t.Helper()
	beating := make(map[string]bool)
	step := func() {
		w.CheckSilence(w.clock.At(w.now))
		for name := range beating {
			if src := w.At(name); src.List != nil && src.Heard.Before(w.clock.At(w.now-999)) {
				w.take(name, beatOf(true, src.List...))
			}
		}
	}
	for line := range strings.Lines(strings.TrimSpace(script)) {
		when, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		events, want, _ := strings.Cut(rest, "=")
		var seconds float64
		fmt.Sscan(when, &seconds)
		for at := int(seconds * 1000); w.now < at; {
			w.now = min(w.now+250, at)
			step()
		}
		for event := range strings.SplitSeq(events, ",") {
			fields := strings.Fields(event)
			if len(fields) == 0 {
				continue
			}
			name, do, names := fields[0], fields[1], fields[2:]
			src, now := w.At(name), w.clock.At(w.now)
			switch {
			case do == "connect":
				beat := 1
				if len(names) > 0 {
					fmt.Sscan(names[0], &beat)
				}
				src.Connect(time.Duration(beat)*time.Second, false, now)
			case do == "plain":
				src.Connect(0, false, now)
			case do == "lost":
				delete(beating, name)
				w.Disconnect(src, now)
			case do == "silent":
				delete(beating, name)
			case do == "held":
				w.take(name, heldBeatOf(true, src.List...))
			case do == "beat":
				beating[name] = true
				w.take(name, beatOf(true, src.List...))
			case do == "list" && src.beat == 0:
				w.Replace(src, append([]string{}, names...), now)
			case do == "list":
				beating[name] = true
				w.take(name, listOf(true, names...))
			case do[0] == '+':
				beating[name] = true
				w.take(name, changeOf(true, src.List, nil, []string{do[1:]}))
			case do[0] == '-':
				beating[name] = true
				w.take(name, changeOf(true, src.List, []string{do[1:]}, nil))
			case do == "stopped": // the subscriber was, for as many seconds
				var seconds float64
				fmt.Sscan(names[0], &seconds)
				w.now += int(seconds * 1000)
				w.Excuse(w.clock.At(w.now), time.Duration(seconds*float64(time.Second)))
			default:
				w.t.Fatalf("unknown event %q", event)
			}
			// Nothing that is removed comes back for an instant.
			if union := w.Union(); slices.Contains(union, "dead") && !strings.Contains(want, "dead") {
				w.t.Errorf("%s: after %q the union is %q", when, event, union)
			}
		}
		got := "nothing"
		if union := w.Union(); union != nil {
			got = strings.Join(union, " ")
		}
		if want = strings.TrimSpace(want); got != want {
			w.t.Errorf("%s: %s: got %s, want %s", when, strings.TrimSpace(events), got, want)
		}
	}
}

func (w *view) take(name string, u *Update) {
	w.t.Helper()
	if err := w.Sources.Receive(w.At(name), u, w.clock.At(w.now)); err != nil {
		w.t.Fatalf("%d ms: a message of %s: %v", w.now, name, err)
	}
}

// What is removed does not come back through a server that was away, and what
// is there is not kept out.
func TestServersThatWereAway(t *testing.T) {
	for _, test := range []struct{ name, script string }{
		{"a server is stopped, and a client hangs", `
			0: a connect, b connect, a list dead x, b list dead x = dead x
			10: a silent = dead x
			15: b -dead = x
			20: a beat = x
			49: a -dead = x
			60: = x`},
		{"and the server takes its time", `
			0: a connect, b connect, a list dead x, b list dead x = dead x
			10: a silent = dead x
			15: b -dead = x
			20: a beat = x
			61.9: = x
			62.9: = dead x`},
		{"a server is away for an hour and takes its time", `
			0: a connect, b connect, a list dead x, b list dead x = dead x
			10: a silent = dead x
			15: b -dead = x
			3613: a beat = x
			3767: = x
			3769: = dead x`},
		{"a server that surveys seldom takes its time", `
			0: a connect 20, b connect, a list dead x, b list dead x = dead x
			100: a silent = dead x
			165: b -dead, a beat = x
			229: = x
			231: = dead x`},
		{"a server tells what it has removed while it was not connected", `
			0: a connect, b connect, a list dead x, b list dead x = dead x
			10: a silent, b lost = dead x
			15: b connect, b -dead = x
			20: a beat = x
			40: a -dead = x`},
		{"a client vanishes before its server counts as away", `
			0: a connect, b connect, a list dead x, b list dead x = dead x
			10: a silent = dead x
			11: b -dead = dead x
			13.1: = x
			3600: a beat = x`},
		{"a machine is suspended for an hour, and loses its connection", `
			0: a connect, b connect, a list dead x, b list dead x = dead x
			10: a silent = dead x
			15: b -dead = x
			40: a lost = x
			3600: a connect, a beat = x
			3620: a -dead = x`},
		{"a server has no list for some seconds, and a name moves to it", `
			0: a connect, b connect, a list n x = n x
			5: a -n = x
			6: b list n = x
			9.1: = n x`},
		{"a server that is new removes the name, and adds it", `
			0: a connect, b connect, a list back x, b list back x = back x
			10: a silent = back x
			15: b -back = x
			20: a beat = x
			21: a -back = x
			22: a +back = back x`},
		{"a path stalls, and its queue arrives oldest first", `
			0: a connect, b connect, a list dead x, b list dead x = dead x
			10: a silent = dead x
			16: b -dead = x
			24: a beat, a +y, a beat, a -dead, a -y = x
			60: = x`},
		{"and the queue has a name that came and went", `
			0: a connect, b connect, a list x, b list x = x
			10: a silent, b +dead = dead x
			16: b -dead = x
			24: a beat, a +dead, a -dead = x`},
		{"and the queue has a name that the server takes for alive", `
			0: a connect, b connect, a list x, b list x = x
			10: a silent, b +dead = dead x
			16: b -dead = x
			24: a beat, a +dead = x
			50: = x
			55: a -dead = x
			200: = x`},
		{"and the other server removes it as the queue arrives", `
			0: a connect, b connect, a list x, b list x = x
			10: a silent, b +dead = dead x
			24: a beat = dead x
			24: b -dead, a +dead, a -dead = x`},
		{"the stops of two servers overlap", `
			0: a connect, b connect, c connect, a list dead x, b list dead x, c list dead x = dead x
			10: a silent = dead x
			14: b -dead = dead x
			14: c -dead = x
			15: b silent = x
			20: a beat = x
			21: c silent = x
			25: b beat = x
			30: c beat = x
			45: a -dead = x
			90: = x`},
		{"a subscriber reconnects to a server with a client that is half dead", `
			0: a connect, b connect, a list dead x, b list dead x = dead x
			10: b lost = dead x
			10.2: a -dead = x
			10.5: b connect, b held = x
			15.5: b beat = x
			30: b -dead = x`},
		{"a server is held while another one removes", `
			0: a connect, b connect, a list dead x, b list dead x = dead x
			10: b lost = dead x
			11: b connect, b held = dead x
			13.5: b held = dead x
			15: a -dead = x
			16: b beat = x
			30: b -dead = x`},
		{"a server was held while a name came and went elsewhere", `
			0: a connect, b connect, a list x, b list x = x
			10: b lost, a +dead = dead x
			12: a -dead = x
			13: b connect, b held = x
			15: b held = x
			17: b held = x
			18: b +dead = x
			19: b -dead = x`},
		{"a server has noticed nothing when it goes away, and returns late", `
			0: a connect, b connect, a list dead x, b list dead x = dead x
			10: b -dead = dead x
			20: a silent = dead x
			51.9: = dead x
			53.1: = x
			60: a beat = x
			70: a -dead = x`},
		{"a name returns before the server that kept it goes away", `
			0: a connect, b connect, a list n x, b list n x = n x
			10: b -n, b +n = n x
			20: a silent = n x
			30: b lost = nothing
			70: a beat = n x`},
		{"a client has long had a connection to one of two servers only, and both are lost", `
			0: a connect, b connect, a list n x, b list n x = n x
			10: b -n = n x
			3600: a lost, b lost = nothing
			3640: a connect, a beat, b connect, b beat = n x
			3700: = n x
			3714: = n x`},
		{"and its server is away for longer than its grace", `
			0: a connect, b connect, a list n x, b list n x = n x
			10: b -n = n x
			3600: a lost = n x
			3631: = x
			3633: a connect, a held = x
			3635: a held = x
			3637: a beat = n x
			3650: = n x`},
		{"and its server is back with whole lists", `
			0: a connect, b connect, a list n x, b list n x = n x
			10: b -n = n x
			3600: a lost = n x
			3631: = x
			3635: a plain, a list n x = n x
			3700: = n x`},
		{"a name is only on the server that goes away", `
			0: a connect, b connect 10, a list n x, b list n x = n x
			10: a -n = n x
			12: b lost = n x
			13: b connect, b held = n x
			18: b beat = n x`},
		{"a server returns, and while it is new the one that counted dies", `
			0: a connect, b connect, a list dead x, b list dead x = dead x
			10: b lost = dead x
			15: a -dead = x
			30: b connect, b beat = x
			31: a lost = x
			62: = x
			84.9: = x
			85.9: = dead x`},
		{"both servers restart, clients restart, and a name moves", `
			0: a connect, b connect, a list n x y, b list x y = n x y
			10: a lost = n x y
			11: b -y, a connect, a held = n x
			12: b +y = n x y
			16: a -n = x y
			17: b +n = n x y
			20: b lost = n x y
			21: a -x, b connect, b held = n y
			22: a +x, a +n = n x y
			26: b -n = n x y`},
		{"a name moves to a server that has just returned", `
			0: a connect, b connect, a list n x, b list x = n x
			10: b lost = n x
			11: b connect, b beat, a -n = x
			12: b +n = n x`},
		{"and has moved before the subscriber is connected again", `
			0: a connect, b connect, a list n x, b list x = n x
			10: b lost = n x
			11: a -n = x
			12: b connect, b +n = x
			14.9: = x
			15.1: = n x`},
		{"a server goes away again with what it has added", `
			0: a connect, b connect, a list dead x, b list x = dead x
			10: b lost = dead x
			11: a -dead = x
			12: b connect, b +dead, b silent = x
			20: b beat = x
			30: = x
			40: b -dead = x`},
		{"a name is away from one server for a moment while the other one is", `
			0: a connect, b connect, a list n x, b list n x = n x
			10: b silent = n x
			14: a -n = x
			14.1: a lost = nothing
			15: a connect, a beat, a +n = n x
			16: b beat = n x
			17: a lost = n x
			60: = n x`},
		{"a name is away from a server for a moment, and the server is, too", `
			0: a connect, a list n x = n x
			10: a -n, a lost = nothing
			12: a connect, a +n = n x`},
		{"a name is only on a server that restarts", `
			0: a connect, b connect, a list x, b list x y = x y
			10: b lost = x y
			12: b connect, b held = x y
			17: b beat = x y
			90: = x y`},
		{"and on one that does not return", `
			0: a connect, b connect, a list x, b list x y = x y
			10: b lost = x y
			12: b connect, b held = x y
			13: b held, b lost = x y
			39.9: = x y
			40: b connect, b held = x
			45: b -x, b -y = x`},
		{"no server counts", `
			0: a connect, b connect, a list x, b list x y = x y
			10: a lost, b lost = nothing
			90: = nothing
			100: b connect, b held = nothing
			105: b -y = x`},
		{"the subscriber was stopped itself", `
			0: a connect, b connect, a list x y, b list x = x y
			10: a stopped 3600, a -y, b lost = x
			3610.1: b connect, b +y, b beat = x y`},
		{"the subscriber is late, or was stopped, and a server has gone", `
			0: a connect, b connect, a list x y z, b list x y z = x y z
			10: b lost = x y z
			10.2: a stopped 0.15, a -y = x z
			20: a stopped 60, a -z = x`},
		{"the subscriber was stopped after a server had gone silent", `
			0: a connect, b connect, a list x y, b list x y = x y
			10: b silent = x y
			15: a stopped 60, a -y = x
			80: b beat = x`},
		{"the subscriber was stopped, and a server is connected again", `
			0: a connect, b connect 60, a list x y, b list x y = x y
			10: a stopped 3600, b lost, b connect, b beat = x y
			3615: a -y, b lost = x`},
		{"the subscriber is late when a server goes", `
			0: a connect, b connect, a list x y, b list x y = x y
			10: a stopped 0.15, a -y, b lost = x`},
		{"the subscriber was stopped during a grace", `
			0: a connect, b connect, a list x, b list x y = x y
			10: b lost = x y
			20: a stopped 3600 = x y
			3639: = x y
			3641: = x`},
		{"a name that a third server lists as another goes away is not barred", `
			0: a connect, b connect, c connect, a list x y, b list x y, c list x y = x y
			10: b silent = x y
			11: a -y = x y
			14: b beat = x y
			18: c -y = x y
			30: = x y`},
		{"a subscriber of two servers is new", `
			0: a connect, b connect, a list a = a
			0.1: b list b = a b`},
		{"a server without a beat", `
			0: a plain, b connect, a list dead x, b list dead x = dead x
			3600: b -dead = dead x
			3601: a lost = x
			3605: a plain, a list dead x = x
			3643.9: = x
			3644: = dead x
			3650: a list x = x`},
		{"a server without a beat that says nothing at first", `
			0: a plain, b connect, a list dead x, b list dead x = dead x
			10: a lost = dead x
			11: b -dead = x
			12: a plain = x
			20: b beat = x
			21: a list dead x = x`},
		{"a removal of long ago does not matter to it", `
			0: a plain, b connect, a list x y, b list x y = x y
			10: b -y = x y
			3600: a lost = x y
			3631: = x`},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := new(Sources)
			for _, name := range []string{"a", "b", "c"} {
				s.All = append(s.All, &Source{URL: name})
			}
			(&view{Sources: s, t: t, clock: testclock.New()}).run(test.script)
		})
	}
}

// The table of removals is bounded. A server that was away for longer than it
// reaches counts when it has had the time to find out who has gone.
func TestRemovalsAreBounded(t *testing.T) {
	clock := testclock.New()
	s := newTestSources(2)
	here, away := s.All[0], s.All[1]
	for _, src := range s.All {
		src.Connect(time.Second, false, clock.At(0))
		mustReceive(t, s, src, listOf(true, "dead", "x"), clock.At(0))
	}
	s.Disconnect(away, clock.At(4000))
	mustReceive(t, s, here, listOf(true, "x"), clock.At(4000))
	for i := range maxRemovals / 64 {
		var crowd []string
		for j := range 64 {
			crowd = append(crowd, fmt.Sprintf("y%06d", 64*i+j))
		}
		mustReceive(t, s, here, changeOf(true, []string{"x"}, nil, crowd), clock.At(5000))
		mustReceive(t, s, here, changeOf(true, append(slices.Clone(crowd), "x"), crowd, nil), clock.At(5000))
		if len(s.removals.all) > maxRemovals || len(away.barred) > maxRemovals {
			t.Fatalf("remembers %d removals, and %d are barred", len(s.removals.all), len(away.barred))
		}
	}
	expectUnion(t, "with the other server away", s, "x")
	away.Connect(time.Second, false, clock.At(6000))
	mustReceive(t, s, away, beatOf(true, "dead", "x"), clock.At(6000))
	mustReceive(t, s, away, changeOf(true, []string{"dead", "x"}, nil, []string{"z"}), clock.At(42999))
	expectUnion(t, "within 37 s", s, "x")
	mustReceive(t, s, away, beatOf(true, "dead", "x", "z"), clock.At(43000))
	expectUnion(t, "after 37 s", s, "dead", "x", "z")
}

// So does one that goes away soon after others have removed more names than are
// remembered, since it may have noticed none of that.
func TestForgottenRemovalsThatMatter(t *testing.T) {
	clock := testclock.New()
	s := newTestSources(2)
	here, away := s.All[0], s.All[1]
	dead, all := tooManyToRemember()
	for _, src := range s.All {
		src.Connect(time.Second, false, clock.At(0))
		mustReceive(t, s, src, listOf(true, all...), clock.At(0))
	}
	mustReceive(t, s, here, changeOf(true, all, dead, nil), clock.At(4000))
	s.Disconnect(away, clock.At(4500))
	expectUnion(t, "with the other server away", s, "x")
	away.Connect(time.Second, false, clock.At(6000))
	mustReceive(t, s, away, beatOf(true, all...), clock.At(6000))
	expectUnion(t, "when it is back", s, "x")
	mustReceive(t, s, away, listOf(true, "x", "y"), clock.At(44000))
	expectUnion(t, "when it has found out", s, "x", "y")
}

// tooManyToRemember returns names of which a removal is forgotten in part, and
// with them "x".
func tooManyToRemember() (dead, all []string) {
	for i := range maxRemovals + maxRemovals/4 {
		dead = append(dead, fmt.Sprintf("dead%06d", i))
	}
	return dead, append(slices.Clone(dead), "x")
}

// A server knows what it has removed itself.
func TestForgottenRemovalsOfItsOwn(t *testing.T) {
	clock := testclock.New()
	s := newTestSources(1)
	dead, all := tooManyToRemember()
	s.All[0].Connect(time.Second, false, clock.At(0))
	mustReceive(t, s, s.All[0], listOf(true, all...), clock.At(0))
	mustReceive(t, s, s.All[0], changeOf(true, all, dead, nil), clock.At(4000))
	s.Disconnect(s.All[0], clock.At(4500))
	s.All[0].Connect(time.Second, false, clock.At(6000))
	mustReceive(t, s, s.All[0], listOf(true, "x", "y"), clock.At(6000))
	expectUnion(t, "when it is back", s, "x", "y")
}

// No message may come from a server without a beat, so a timer ends its bars.
func TestBarsOfPlainServersEnd(t *testing.T) {
	clock := testclock.New()
	s := newTestSources(2)
	plain, other := s.All[0], s.All[1]
	plain.Connect(0, false, clock.At(0))
	other.Connect(time.Second, false, clock.At(0))
	s.Replace(plain, []string{"dead"}, clock.At(0))
	mustReceive(t, s, other, listOf(true, "dead"), clock.At(0))
	s.Disconnect(plain, clock.At(10000))
	mustReceive(t, s, other, listOf(true), clock.At(11000))
	s.Disconnect(other, clock.At(11000))
	plain.Connect(0, false, clock.At(12000))
	s.Replace(plain, []string{"dead"}, clock.At(12000))
	s.CheckSilence(clock.At(41000))
	if got, want := s.Deadline(), clock.At(49000); !got.Equal(want) {
		t.Errorf("got %v as the next deadline, want %v", got, want)
	}
}

// A removal is remembered while another server lists the name.
func TestRemovalsAreRemembered(t *testing.T) {
	clock := testclock.New()
	s := newTestSources(2)
	here, away := s.All[0], s.All[1]
	for _, src := range s.All {
		src.Connect(time.Second, false, clock.At(0))
		mustReceive(t, s, src, listOf(true, "dead", "x"), clock.At(0))
	}
	mustReceive(t, s, here, listOf(true, "x"), clock.At(4000))
	for i := range 3 * minRemovals {
		now, name := clock.At(4000+i), fmt.Sprintf("y%d", i)
		mustReceive(t, s, here, changeOf(true, []string{"x"}, nil, []string{name}), now)
		mustReceive(t, s, here, changeOf(true, []string{name, "x"}, []string{name}, nil), now)
		mustReceive(t, s, away, beatOf(true, "dead", "x"), now)
	}
	s.Disconnect(away, clock.At(10000))
	expectUnion(t, "in its grace", s, "dead", "x")
	s.CheckSilence(clock.At(40000))
	away.Connect(time.Second, false, clock.At(41000))
	mustReceive(t, s, away, beatOf(true, "dead", "x"), clock.At(41000))
	expectUnion(t, "when it is back", s, "x")
}

// Removals that matter to nobody are forgotten.
func TestRemovalsAreForgotten(t *testing.T) {
	clock := testclock.New()
	s := newTestSources(2)
	for _, src := range s.All {
		src.Connect(time.Second, false, clock.At(0))
		mustReceive(t, s, src, listOf(true), clock.At(0))
	}
	for i := range 1000 {
		now := clock.At(3000 + 100*i) // they are new no more
		name := fmt.Sprint(i)
		for _, src := range s.All {
			mustReceive(t, s, src, changeOf(true, nil, nil, []string{name}), now)
		}
		for _, src := range s.All {
			mustReceive(t, s, src, changeOf(true, []string{name}, []string{name}, nil), now)
		}
	}
	if got := len(s.removals.all); got > 2*minRemovals {
		t.Errorf("remembers %d removals, want at most %d", got, 2*minRemovals)
	}
}
