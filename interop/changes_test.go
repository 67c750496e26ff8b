package interop_test

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// An old publisher refuses changes, keeps running and serves others. Our
// subscriber then asks for whole lists without a pause.
func TestOldServerRefusesChanges(t *testing.T) {
	t.Parallel()
	const (
		inTurn      = 20
		redialPause = 75 * time.Millisecond // the shortest
	)
	overEach(t, func(t *testing.T, survey, pubsub string) {
		server := startOldServer(t, survey, pubsub)
		old := subscribeOld(t, server.pubsub)
		server.awaitSubscribers(t, 1)
		var log bytes.Buffer // read only after its writers have ended
		d := &gopherdiscovery.Dialer{Logger: slog.New(slog.NewTextHandler(&log, nil))}
		best := patience
		for range inTurn {
			start := time.Now()
			sub, err := d.NewSubscriber(context.Background(), server.pubsub)
			if err != nil {
				t.Fatal(err)
			}
			testmain.Await(t, "our subscriber is connected", func() bool { return sub.Servers()[0].Connected })
			best = min(best, time.Since(start))
			sub.Close()
		}
		t.Logf("connected after %v at best", best)
		if best >= redialPause {
			t.Errorf("connected after %v at best, want less than a pause before a redial, %v", best, redialPause)
		}
		if log.Len() > 0 {
			t.Errorf("the subscribers have logged %q, want nothing", log.String())
		}
		server.awaitSubscribers(t, 1)
		ours := []<-chan []string{subscribe(t, server.pubsub), subscribe(t, server.pubsub), subscribe(t, server.pubsub)}
		server.awaitSubscribers(t, 4)
		announceOld(t, server.survey, "old")
		awaitNext(t, old, "old")
		for _, lists := range ours {
			awaitNext(t, lists, "old")
		}
	})
}

// An old subscriber is sent the list when it connects and when the list
// changes, and nothing else. Before our server's first complete survey it is
// sent nothing.
func TestOldSubscriberIsSentListsOnly(t *testing.T) {
	t.Parallel()
	overEach(t, func(t *testing.T, survey, pubsub string) {
		opt := ourOptions
		opt.PollTime = 500 * time.Millisecond
		start := time.Now()
		survey, pubsub = startServerWith(t, survey, pubsub, opt).URLs()
		announceOld(t, survey, "one")
		awaitNext(t, subscribe(t, pubsub), "one")
		old := subscribeOld(t, pubsub)
		awaitNext(t, old, "one")
		if got := time.Since(start); got < opt.PollTime {
			t.Errorf("a list came after %v, want none in the first %v", got, opt.PollTime)
		}
		// Our own subscribers are sent a beat every PollTime.
		time.Sleep(2*opt.PollTime + opt.PollTime/2)
		guest := announceOld(t, survey, "two")
		awaitNext(t, old, "one", "two")
		guest.Close()
		awaitNext(t, old, "one")
	})
}
