package gopherdiscovery

import (
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sp"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
	"github.com/dahernan/gopherdiscovery/internal/wire"
	"github.com/dahernan/gopherdiscovery/internal/wiretest"
)

// fakeSubscriber is a publisher's connection with nothing behind it.
type fakeSubscriber struct {
	*subscription
	core *sptest.FakePipe
}

// received describes the messages sent since the last call, as told does.
func (f fakeSubscriber) received(t *testing.T) []string {
	t.Helper()
	synctest.Wait()
	all := []string{}
	for _, message := range f.core.Take() {
		all = append(all, wiretest.Told(t, []byte(message), f.cursor.Plain))
	}
	return all
}

func (f fakeSubscriber) expect(t *testing.T, what string, want ...string) {
	t.Helper()
	if got := f.received(t); !slices.Equal(got, want) {
		t.Errorf("%s: sent %q, want %q", what, got, want)
	}
}

// testPublisher is a publisher without a server's loop.
type testPublisher struct {
	*publisher
	complete bool
}

func newTestPublisher(t *testing.T, poll time.Duration) *testPublisher {
	t.Helper()
	p := newPublisher(Options{PollTime: poll, ReturnTime: defaultReturnTime}, quietSettings, sp.NewBell())
	t.Cleanup(p.sock.End)
	return &testPublisher{publisher: p}
}

// loop does what the server's loop does when there is no new list.
func (p *testPublisher) loop() {
	p.recordArrivals()
	p.keepBeat(time.Now(), wire.Standing{Complete: p.complete})
}

// publish does what the server's loop does with a list.
func (p *testPublisher) publish(names []string, complete, forget bool, now time.Time) {
	p.complete = complete
	p.publisher.publish(names, complete, forget, now)
}

// tell does what the server's loop does when there is a new list.
func (p *testPublisher) tell(names string, complete bool) {
	p.recordArrivals()
	p.publish(wiretest.Names(names), complete, false, time.Now())
	p.loop()
}

// subscribe connects a subscriber in the plain form or in changes. It sets the
// cursor itself, because a pipe without a link is plain, and one with a link
// would write to it.
func (p *testPublisher) subscribe(core *sptest.FakePipe, plain bool, have *uint64) fakeSubscriber {
	s := sp.NewPipe(core, p.sock, nil).Session().(*subscription)
	s.cursor = wire.NewCursor(plain, have, time.Now())
	s.Began()
	return fakeSubscriber{s, core}
}

func TestPublisherBeat(t *testing.T) {
	for _, test := range []struct{ poll, want time.Duration }{
		{2 * time.Second, 2 * time.Second}, {ms, 50 * ms}, {50 * ms, 50 * ms}, {time.Minute, time.Minute}, {time.Hour, time.Minute},
	} {
		p := newTestPublisher(t, test.poll)
		if p.beat != test.want || p.sock.Beat != test.want {
			t.Errorf("PollTime %v: beats every %v, and tells subscribers %v, want %v", test.poll, p.beat, p.sock.Beat, test.want)
		}
	}
}

// take adds and removes subscribers in the order in which they came and went.
func TestPublisherTakes(t *testing.T) {
	p := newTestPublisher(t, time.Second)
	one, two := p.subscribe(sptest.NewFakePipe(), true, nil), p.subscribe(sptest.NewFakePipe(), false, nil)
	if !sptest.Rang(p.arrivals.bell) {
		t.Error("the bell did not ring")
	}
	for range 2 {
		if p.recordArrivals(); len(p.subscriptions) != 2 || len(p.waiting) != 2 {
			t.Errorf("%d are there, and %d wait, want 2 and 2", len(p.subscriptions), len(p.waiting))
		}
	}
	brief := p.subscribe(sptest.NewFakePipe(), true, nil)
	brief.Ended()
	one.Ended()
	p.recordArrivals()
	if _, there := p.subscriptions[two.subscription]; !there || len(p.subscriptions) != 1 || len(p.waiting) != 1 {
		t.Errorf("%d are there, and %d wait, want the second only", len(p.subscriptions), len(p.waiting))
	}
}

func TestPublisherPublishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPublisher(t, time.Second)
		sum := wiretest.Sum(wiretest.Names("a b")...)
		plain, fresh, back := p.subscribe(sptest.NewFakePipe(), true, nil), p.subscribe(sptest.NewFakePipe(), false, nil), p.subscribe(sptest.NewFakePipe(), false, &sum)
		busy := sptest.NewFakePipe()
		busy.Busy = make(chan struct{})
		slow := p.subscribe(busy, false, nil)
		p.tell("", false)
		for _, s := range []fakeSubscriber{plain, fresh, slow} {
			s.expect(t, "before the first list")
		}
		back.expect(t, "before the first list", "held")
		p.tell("a", false)
		plain.expect(t, "the first list, plain")
		fresh.expect(t, "the first list", "list a")
		back.expect(t, "the first list, to one with another")
		p.tell("a b", false)
		plain.expect(t, "the next list, plain")
		fresh.expect(t, "the next list", "change +b")
		back.expect(t, "its own list", "beat")
		for range 2 {
			p.tell("a b", true)
		}
		plain.expect(t, "complete, plain", "plain a b")
		fresh.expect(t, "complete", "beat!")
		back.expect(t, "complete, to one that was told", "beat!")
		p.tell("a b c", true)
		synctest.Wait()
		p.tell("a b c d", true)
		fresh.expect(t, "two joins", "change! +c", "change! +d")
		close(busy.Busy)
		slow.expect(t, "when it can take something", "list a", "change! +b +c +d")
		late := p.subscribe(sptest.NewFakePipe(), false, nil)
		p.loop()
		late.expect(t, "a late one", "list! a b c d")
		late.Ended()
		p.tell("a b c", true)
		late.expect(t, "one that is gone")
		back.expect(t, "one that stays", "change! +c", "change! +d", "change! -d")
	})
}

// A subscriber that reads nothing costs only its position, however much
// changes.
func TestSlowSubscribersCostTheirPosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPublisher(t, time.Second)
		core := sptest.NewFakePipe()
		core.Busy = make(chan struct{})
		slow := p.subscribe(core, false, nil)
		p.tell("a b c d e f", true)
		synctest.Wait()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for range 5000 {
			p.tell("a b c d f g", true)
			p.tell("a b c d f", true)
		}
		p.tell("b c d e f", true)
		runtime.GC()
		runtime.ReadMemStats(&after)
		if got := int64(after.HeapAlloc) - int64(before.HeapAlloc); got > 1<<20 {
			t.Errorf("10,001 lists are kept in %d bytes, want no more than a few lists take", got)
		}
		close(core.Busy)
		slow.expect(t, "when it can take something", "list! a b c d e f", "list! b c d e f")
		p.tell("b c d e f g", true)
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
		p.tell("a b c", true)
		plain, early := p.subscribe(sptest.NewFakePipe(), true, nil), p.subscribe(sptest.NewFakePipe(), false, nil)
		p.loop()
		next(800 * ms)
		plain.expect(t, "at the start, plain", "plain a b c")
		early.expect(t, "at the start", "list! a b c")
		time.Sleep(50 * ms)
		near := p.subscribe(sptest.NewFakePipe(), false, nil)
		p.loop()
		time.Sleep(250 * ms)
		late := p.subscribe(sptest.NewFakePipe(), false, nil)
		p.loop()
		near.expect(t, "at the start", "list! a b c")
		late.expect(t, "at the start", "list! a b c")
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
		p.tell("a b", true)
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

// A subscriber that comes with an unknown list is sent its own sum with each
// beat, until ReturnTime has passed since it came, or the list follows from its
// own. That holds up nobody else.
func TestPublisherHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPublisher(t, 2*time.Second)
		start := time.Now()
		next := func(want time.Duration) {
			t.Helper()
			if got := p.wakeAt.Sub(start); got != want {
				t.Errorf("wakes after %v, want %v", got, want)
			}
		}
		other, later := wiretest.Sum("x"), wiretest.Sum(wiretest.Names("a b c d")...)
		p.tell("a b c", true)
		held, equal := p.subscribe(sptest.NewFakePipe(), false, &other), p.subscribe(sptest.NewFakePipe(), false, &later)
		p.loop()
		next(2 * time.Second)
		for _, s := range []fakeSubscriber{held, equal} {
			s.expect(t, "at once", "held!")
		}
		time.Sleep(time.Second)
		fresh := p.subscribe(sptest.NewFakePipe(), false, nil)
		p.tell("a b c d", true)
		fresh.expect(t, "the list", "list! a b c d")
		equal.expect(t, "its own list", "beat!")
		held.expect(t, "another list")
		time.Sleep(time.Second)
		p.loop()
		held.expect(t, "a beat", "held!")
		time.Sleep(2 * time.Second)
		p.loop()
		next(5 * time.Second)
		held.expect(t, "another beat", "held!")
		time.Sleep(time.Second - 1)
		p.loop()
		held.expect(t, "before ReturnTime")
		time.Sleep(1 * time.Nanosecond)
		p.keepBeat(time.Now(), wire.Standing{Complete: true, ComingIn: true})
		held.expect(t, "clients are coming in")
		time.Sleep(greetingTime)
		p.loop()
		held.expect(t, "after ReturnTime", "list! a b c d")
		p.tell("a b c", true)
		held.expect(t, "then", "change! -d")

		back := p.subscribe(sptest.NewFakePipe(), false, &later)
		p.loop()
		back.expect(t, "with a list of before", "change! -d")
		p.publish(wiretest.Names("a b"), true, true, time.Now())
		late := p.subscribe(sptest.NewFakePipe(), false, &later)
		p.loop()
		late.expect(t, "with a list that is forgotten", "held!")
		back.expect(t, "one that was told", "change! -c")
	})
}

// A time for which the server was stopped is not part of a hold.
func TestPublisherHoldsAfterAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPublisher(t, 2*time.Second)
		other := wiretest.Sum("x")
		p.tell("a b c", true)
		held := p.subscribe(sptest.NewFakePipe(), false, &other)
		p.loop()
		held.expect(t, "at once", "held!")
		time.Sleep(4 * time.Second)
		p.stopped(3 * time.Second)
		time.Sleep(4*time.Second - 1)
		p.loop()
		held.expect(t, "before ReturnTime", "held!")
		time.Sleep(1 * time.Nanosecond)
		p.loop()
		held.expect(t, "after ReturnTime", "list! a b c")
	})
}

// Plain subscribers wait for the first PollTime of a server, and others for
// clients that have just come in.
func TestPublisherWaitsForTheFirstList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPublisher(t, 2*time.Second)
		start := time.Now()
		plain, changes := p.subscribe(sptest.NewFakePipe(), true, nil), p.subscribe(sptest.NewFakePipe(), false, nil)
		p.recordArrivals()
		keep := func(at, wake time.Duration) {
			t.Helper()
			time.Sleep(time.Until(start.Add(at)))
			p.keepBeat(time.Now(), wire.Standing{LastArrival: start})
			if got := p.wakeAt.Sub(start); got != wake {
				t.Errorf("after %v: wakes after %v, want %v", at, got, wake)
			}
		}
		p.publish(wiretest.Names("a"), false, false, start)
		keep(50*ms-1, 50*ms)
		changes.expect(t, "50 ms have not passed")
		keep(50*ms, 2*time.Second)
		changes.expect(t, "50 ms have passed", "list a")
		keep(2*time.Second-1, 2*time.Second)
		plain.expect(t, "PollTime has not passed")
		keep(2*time.Second, 2050*ms-1)
		plain.expect(t, "PollTime has passed", "plain a")
	})
}

// A subscriber must not send anything after the handshake.
func TestSubscribersMustNotTalk(t *testing.T) {
	s := newTestPublisher(t, time.Second).subscribe(sptest.NewFakePipe(), false, nil)
	for _, body := range []string{"", "hello", string(wire.EncodeHave(nil))} {
		if err := s.subscription.Received([]byte(body)); err != errSubscriberSent {
			t.Errorf("%q: got error %v, want %v", body, err, errSubscriberSent)
		}
	}
}

// Strangers ask for changes and then say nothing, on all the connections that
// may shake hands at once. A subscriber gets its list when the grace of the
// first stranger is over.
func TestSilentSubscribersKeepNobodyOut(t *testing.T) {
	FakeTime(t, func(t *testing.T) {
		m := NewMemory(t)
		server, err := Server(m.URL("survey"), m.URL("lists"), Options{ReturnTime: ms, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		time.Sleep(time.Second) // the list is complete
		for range sp.MaxHandshakes {
			c, err := m.dial("lists/stranger")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, _ = c.Write(sptest.Hello(sptest.Changes))
		}
		synctest.Wait()
		const grace = 1010 * ms // a second, and another looks for room every 10 ms
		start := time.Now()
		d := Dialer{Logger: quiet}
		sub, err := d.NewSubscriber(t.Context(), m.URL("lists/good"))
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		<-sub.Changes()
		if took := time.Since(start); took > grace {
			t.Errorf("the first list came after %v, want at most %v", took, grace)
		}
	})
}
