package gopherdiscovery

import (
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// fakeSubscriber is a publisher's connection with nothing behind it.
type fakeSubscriber struct {
	*subscription
	core *fakePipe
}

// received describes the messages sent since the last call, as told does.
func (f fakeSubscriber) received(t *testing.T) []string {
	t.Helper()
	synctest.Wait()
	all := []string{}
	for _, message := range f.core.take() {
		all = append(all, told(t, []byte(message), f.cursor.plain))
	}
	return all
}

func (f fakeSubscriber) expect(t *testing.T, what string, want ...string) {
	t.Helper()
	if got := f.received(t); !slices.Equal(got, want) {
		t.Errorf("%s: sent %q, want %q", what, got, want)
	}
}

func newTestPublisher(t *testing.T, poll time.Duration) *publisher {
	t.Helper()
	p := newPublisher(Options{PollTime: poll}, quietSettings, newBell())
	t.Cleanup(p.sock.close)
	p.markCurrent(time.Now())
	return p
}

// loop does what the server's loop does when nothing has happened.
func (p *publisher) loop() {
	offerAll(p.markCurrent(time.Now()))
	p.keepBeat(time.Now())
}

// subscribe connects a subscriber in the plain form or in changes. It sets the
// cursor itself, because a pipe without a link is plain, and one with a link
// would write to it.
func (p *publisher) subscribe(core *fakePipe, plain bool, have *uint64) fakeSubscriber {
	s := p.open(newPipe(core, p.sock.endpoint)).(*subscription)
	s.cursor = newCursor(plain, have, time.Now())
	s.pipe.session = s
	s.began()
	return fakeSubscriber{s, core}
}

func TestPublisherBeat(t *testing.T) {
	for _, test := range []struct{ poll, want time.Duration }{
		{2 * time.Second, 2 * time.Second}, {ms, 50 * ms}, {50 * ms, 50 * ms}, {time.Minute, time.Minute}, {time.Hour, time.Minute},
	} {
		p := newTestPublisher(t, test.poll)
		if p.beat != test.want || p.sock.beat != test.want {
			t.Errorf("PollTime %v: beats every %v, and tells subscribers %v, want %v", test.poll, p.beat, p.sock.beat, test.want)
		}
	}
}

// A subscription begins with the form and the list of its link.
func TestPublisherOpens(t *testing.T) {
	p := newTestPublisher(t, time.Second)
	sum := uint64(7)
	for _, test := range []struct {
		name  string
		link  *link
		plain bool
		have  *uint64
		holds bool
	}{
		{"not our transport", nil, true, nil, true},
		{"plain", &link{}, true, nil, true},
		{"changes", &link{changes: true}, false, nil, false},
		{"changes, with a list", &link{changes: true, have: &sum}, false, &sum, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := p.open(&pipe{link: test.link}).(*subscription).cursor
			if got.plain != test.plain || got.have != test.have || got.holds != test.holds || got.complete || got.position != nowhere {
				t.Errorf("got the cursor %+v", got)
			}
		})
	}
}

// take adds and removes subscribers in the order in which they came and went.
func TestPublisherTakes(t *testing.T) {
	p := newTestPublisher(t, time.Second)
	one, two := p.subscribe(newFakePipe(), true, nil), p.subscribe(newFakePipe(), false, nil)
	if !rang(p.arrivals.bell) {
		t.Error("the bell did not ring")
	}
	if got := p.take(); !slices.Equal(got, []*subscription{one.subscription, two.subscription}) {
		t.Errorf("%d have come, want both", len(got))
	}
	if got := p.take(); len(got) > 0 || len(p.subscriptions) != 2 {
		t.Errorf("%d have come once more, and there are %d, want none and 2", len(got), len(p.subscriptions))
	}
	brief := p.subscribe(newFakePipe(), true, nil)
	brief.ended()
	one.ended()
	p.take()
	if _, there := p.subscriptions[two.subscription]; !there || len(p.subscriptions) != 1 {
		t.Errorf("%d are there, want the second only", len(p.subscriptions))
	}
}

func TestPublisherPublishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPublisher(t, time.Second)
		sum := sumByHand(longNames("a b")...)
		plain, fresh, back := p.subscribe(newFakePipe(), true, nil), p.subscribe(newFakePipe(), false, nil), p.subscribe(newFakePipe(), false, &sum)
		busy := newFakePipe()
		busy.busy = make(chan struct{})
		slow := p.subscribe(busy, false, nil)
		offerAll(p.take())
		p.publish(longNames(""), false)
		for _, s := range []fakeSubscriber{plain, fresh, back, slow} {
			s.expect(t, "before the first list")
		}
		p.publish(longNames("a"), false)
		plain.expect(t, "incomplete list, plain")
		fresh.expect(t, "incomplete list, to a newcomer", "list a")
		back.expect(t, "incomplete list, to one with a list")
		p.publish(longNames("a b"), true)
		p.publish(longNames("a b"), true)
		plain.expect(t, "complete list, plain", "plain a b")
		fresh.expect(t, "complete list, to one with an incomplete one", "change! +b")
		back.expect(t, "complete list, to one who has it", "beat!")
		p.publish(longNames("a b c"), true)
		synctest.Wait()
		p.publish(longNames("a b c d"), true)
		fresh.expect(t, "two joins", "change! +c", "change! +d")
		close(busy.busy)
		slow.expect(t, "when it can take something", "list a", "change! +b +c +d")
		late := p.subscribe(newFakePipe(), false, nil)
		offerAll(p.take())
		late.expect(t, "a late one", "list! a b c d")
		late.ended()
		p.take()
		p.publish(longNames("a b c"), true)
		late.expect(t, "one that is gone")
		back.expect(t, "one that stays", "change! +c", "change! +d", "change! -d")
	})
}

// A subscriber that reads nothing costs only its position, however much
// changes.
func TestSlowSubscribersCostTheirPosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPublisher(t, time.Second)
		core := newFakePipe()
		core.busy = make(chan struct{})
		slow := p.subscribe(core, false, nil)
		offerAll(p.take())
		p.publish(longNames("a b c d e f"), true)
		synctest.Wait()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for range 5000 {
			p.publish(longNames("a b c d f g"), true)
			p.publish(longNames("a b c d f"), true)
		}
		p.publish(longNames("b c d e f"), true)
		runtime.GC()
		runtime.ReadMemStats(&after)
		if got := int64(after.HeapAlloc) - int64(before.HeapAlloc); got > 1<<20 {
			t.Errorf("10,001 lists are kept in %d bytes, want no more than a few lists take", got)
		}
		close(core.busy)
		slow.expect(t, "when it can take something", "list! a b c d e f", "list! b c d e f")
		p.publish(longNames("b c d e f g"), true)
		slow.expect(t, "then", "change! +g")
	})
}

// Beats are for subscribers in changes that were sent nothing else. They are at
// most a little early, and never late.
func TestPublisherKeepsTheBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPublisher(t, 800*ms)
		start := time.Now()
		next := func(want time.Duration) {
			t.Helper()
			if got := p.nextBeat.Sub(start); got != want {
				t.Errorf("looks for silence again after %v, want %v", got, want)
			}
		}
		p.publish(longNames("a b c"), true)
		plain, early := p.subscribe(newFakePipe(), true, nil), p.subscribe(newFakePipe(), false, nil)
		offerAll(p.take())
		p.loop()
		next(800 * ms)
		plain.expect(t, "at the start, plain", "plain a b c")
		early.expect(t, "at the start", "list! a b c")
		time.Sleep(50 * ms)
		near := p.subscribe(newFakePipe(), false, nil)
		time.Sleep(250 * ms)
		late := p.subscribe(newFakePipe(), false, nil)
		offerAll(p.take())
		near.expect(t, "at the start", "list! a b c")
		late.expect(t, "at the start", "list! a b c")
		near.cursor.lastSent = start.Add(50 * ms)
		time.Sleep(500*ms - 1)
		p.loop()
		early.expect(t, "before it is due")
		time.Sleep(time.Nanosecond)
		p.loop()
		early.expect(t, "when it is due", "beat!")
		near.expect(t, "a little early", "beat!")
		late.expect(t, "far from due")
		plain.expect(t, "plain, when beats are sent")
		next(1100 * ms)
		p.publish(longNames("a b"), true)
		late.expect(t, "a change", "change! -c")
		time.Sleep(300 * ms)
		p.loop()
		late.expect(t, "after the change")
		next(1600 * ms)
		time.Sleep(500 * ms)
		p.loop()
		for _, s := range []fakeSubscriber{early, near} {
			s.expect(t, "a beat after the change", "change! -c", "beat!")
		}
		late.expect(t, "a beat after the change", "beat!")
		time.Sleep(time.Hour) // the server was stopped
		p.loop()
		early.expect(t, "after an hour", "beat!")
	})
}

// If the server's loop has not run for long, the process may have been stopped.
// Nothing is sent until the loop has checked what happened meanwhile.
func TestPublisherWithholdsWhatMayBeOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPublisher(t, time.Second)
		plain, changes := p.subscribe(newFakePipe(), true, nil), p.subscribe(newFakePipe(), false, nil)
		offerAll(p.take())
		p.publish(longNames("a b w x y z"), true)
		plain.expect(t, "the list, plain", "plain a b w x y z")
		changes.expect(t, "the list", "list! a b w x y z")
		time.Sleep(serverHalt)
		p.publish(longNames("a b c w x y z"), true)
		plain.expect(t, "just in time, plain", "plain a b c w x y z")
		changes.expect(t, "just in time", "change! +c")
		time.Sleep(time.Nanosecond)
		for len(p.arrivals.bell) > 0 {
			<-p.arrivals.bell
		}
		p.publish(longNames("a b c d w x y z"), true)
		plain.expect(t, "too late, plain")
		changes.expect(t, "too late")
		if len(p.arrivals.bell) == 0 {
			t.Error("the loop is not woken")
		}
		withheld := p.markCurrent(time.Now())
		p.publish(longNames("b c w x y z"), true)
		plain.expect(t, "when the loop has looked, plain", "plain b c w x y z")
		changes.expect(t, "when the loop has looked", "change! -a")
		offerAll(withheld)
		offerAll(p.markCurrent(time.Now()))
		plain.expect(t, "when it was sent all, plain")
		changes.expect(t, "when it was sent all")
		time.Sleep(time.Second)
		p.keepBeat(time.Now())
		changes.expect(t, "a late beat")
		offerAll(p.markCurrent(time.Now()))
		changes.expect(t, "when the loop has looked again", "beat!")
	})
}

// A subscriber must not send anything after the handshake.
func TestSubscribersMustNotTalk(t *testing.T) {
	s := newTestPublisher(t, time.Second).subscribe(newFakePipe(), false, nil)
	for _, body := range []string{"", "hello", string(encodeHave(nil))} {
		if err := s.subscription.received([]byte(body)); err != errSubscriberSent {
			t.Errorf("%q: got error %v, want %v", body, err, errSubscriberSent)
		}
	}
}
