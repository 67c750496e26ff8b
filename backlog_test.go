package gopherdiscovery

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sp"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
	"github.com/dahernan/gopherdiscovery/internal/wire"
	"github.com/dahernan/gopherdiscovery/internal/wiretest"
)

// A message that several connections send counts once, in either form. Those
// that have been sending for longest end first.
func TestBacklog(t *testing.T) {
	var b backlog
	long := func(n int) []byte { return make([]byte, sp.SmallMessage+n) }
	list, change := long(30), long(20)
	all := []*subscription{{}, {}, {}, {}, {}}
	for _, step := range []struct {
		at      int
		message []byte
		want    int // bytes beyond smallMessage for each message
	}{
		{0, list, 30}, {1, list, 30}, {2, list[2:], 30}, {3, long(0), 30}, {4, change, 50 + sp.SmallMessage},
		{1, nil, 50 + sp.SmallMessage}, {2, long(10), 60 + 2*sp.SmallMessage}, {0, list, 60 + 2*sp.SmallMessage},
	} {
		b.begin(all[step.at], step.message)
		if got := b.bytes - sp.SmallMessage; got != step.want {
			t.Errorf("%d sends %d bytes: got %d bytes, want %d", step.at, len(step.message), got, step.want)
		}
	}
	limit := b.bytes
	if got := b.trim(limit); got != nil {
		t.Errorf("within the limit, %d end", len(got))
	}
	if got, want := b.trim(limit-1), []*subscription{all[4]}; !slices.Equal(got, want) {
		t.Errorf("beyond the limit, %d end, want the one with the change", len(got))
	}
	b.end(all[4])
	for _, s := range all {
		b.end(s)
	}
	if b.bytes != 0 || b.order.Len() != 0 || len(b.sent) != 0 {
		t.Errorf("at the end, %d bytes and %d connections are left", b.bytes, b.order.Len())
	}
}

// Subscribers in both forms read nothing, and each comes when the list is
// another one. What is kept for all of them is a few lists. The slowest end.
func TestSlowSubscribersKeepFewLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPublisher(t, time.Second)
		var names []string
		for i := range 1 << 15 {
			names = append(names, fmt.Sprintf("%05d%s", i, strings.Repeat("x", wire.MaxServiceLen-5)))
		}
		size := len(strings.Join(names, "|")) + 1
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var slow []fakeSubscriber
		for i := range 60 {
			next := slices.Clone(names)
			next[0] = fmt.Sprint("00000 ", i)
			p.publish(next, true, false, time.Now())
			core := sptest.NewFakePipe()
			core.Busy = make(chan struct{})
			slow = append(slow, p.subscribe(core, i%2 == 0, nil))
			p.loop()
			synctest.Wait()
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if got, most := int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(6*size); got > most {
			t.Errorf("%d MiB more for subscribers that do not read, want at most %d", got>>20, most>>20)
		}
		for i, s := range slow {
			if got, want := s.core.IsClosed(), i < len(slow)-backlogLists; got != want {
				t.Errorf("subscriber %d of %d: got closed %t, want %t", i, len(slow), got, want)
			}
		}
		last := slow[len(slow)-1].core
		close(last.Busy)
		synctest.Wait()
		if got := last.Take(); len(got) != 1 || !strings.HasPrefix(got[0], "\x03\x0100000 59|00001x") {
			t.Errorf("the last one was sent %d messages, want its list", len(got))
		}
		for _, s := range slow {
			_ = s.core.Close()
			s.Ended()
		}
		if p.backlog.bytes != 0 {
			t.Errorf("%d bytes are kept for nobody", p.backlog.bytes)
		}
	})
}

// A list and its plain form are one message, whichever is sent first.
func TestBacklogOfBothForms(t *testing.T) {
	whole := make([]byte, 2*sp.SmallMessage)
	for _, messages := range [][2][]byte{{whole, whole[2:]}, {whole[2:], whole}} {
		var b backlog
		one, two := new(subscription), new(subscription)
		b.begin(one, messages[0])
		b.begin(two, messages[1])
		if b.bytes != len(messages[0]) {
			t.Errorf("both forms are %d bytes, want %d", b.bytes, len(messages[0]))
		}
		b.end(one)
		b.end(two)
		if b.bytes != 0 {
			t.Errorf("in the end %d bytes are left", b.bytes)
		}
	}
}

// A connection that has ended while a list was about to be sent is not in the
// backlog.
func TestBacklogForgetsEndedConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPublisher(t, time.Second)
		p.publish(wiretest.Names("a"), true, false, time.Now())
		s := p.subscribe(sptest.NewFakePipe(), true, nil).subscription
		p.loop()
		synctest.Wait()
		s.Ended()
		p.log.Publish(wiretest.Names(strings.Repeat("x", sp.SmallMessage)), true, false, time.Now())
		if got := s.Say(); got != nil || p.backlog.order.Len() != 0 {
			t.Errorf("after the end: %d bytes to send, and %d connections that send", len(got), p.backlog.order.Len())
		}
	})
}
