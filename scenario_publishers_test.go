package gopherdiscovery_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/protocol/pub"
	"go.nanomsg.org/mangos/v3/protocol/sub"

	"github.com/dahernan/gopherdiscovery"
)

// foreignPublishers do not know changes. Each publishes "two|one" at its URL
// repeatedly until the test ends. The output function returns what it has
// printed.
var foreignPublishers = []struct {
	name  string
	start func(t *testing.T, url string) (bound string, output func() string)
}{
	{"nanocat", func(t *testing.T, url string) (string, func() string) {
		return publishingProgram(t, url, "nanocat", "--pub", "--data", "two|one", "--interval", "0.1", "--bind")
	}},
	{"nngcat", func(t *testing.T, url string) (string, func() string) {
		return publishingProgram(t, url, "nngcat", "--pub", "--data", "two|one", "--interval", "1", "--listen")
	}},
	{"mangos v3", publishWithMangos},
}

func publishingProgram(t *testing.T, url, name string, args ...string) (bound string, output func() string) {
	t.Helper()
	if url == anyPort {
		url = reserve(t)
	}
	stderr := new(logBook)
	lines, _ := programWith(t, stderr, name, append(args, url)...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("stderr of %s: %s", name, stderr)
		}
	})
	return url, func() (all string) {
		for len(lines) > 0 {
			all += <-lines + "\n"
		}
		return all + stderr.String()
	}
}

func publishWithMangos(t *testing.T, url string) (bound string, output func() string) {
	t.Helper()
	publisher := mangosSocket(t, pub.NewSocket)
	bound = listenStock(t, publisher, url)
	go func() {
		for publisher.Send([]byte("two|one")) == nil {
			time.Sleep(20 * time.Millisecond)
		}
	}()
	return bound, func() string { return "" }
}

// witness is an old subscriber that records when each message comes.
type witness struct {
	mu    sync.Mutex // guards heard
	heard []time.Time
}

func newWitness(t *testing.T, url string) *witness {
	t.Helper()
	sock := mangosSocket(t, sub.NewSocket)
	if err := sock.SetOption(mangos.OptionSubscribe, ""); err != nil {
		t.Fatal(err)
	}
	if err := sock.SetOption(mangos.OptionDialAsynch, true); err != nil {
		t.Fatal(err)
	}
	if err := sock.Dial(url); err != nil {
		t.Fatal(err)
	}
	w := new(witness)
	go func() {
		for {
			if _, err := sock.Recv(); err != nil {
				return
			}
			w.mu.Lock()
			w.heard = append(w.heard, time.Now())
			w.mu.Unlock()
		}
	}()
	return w
}

// after returns when the first message after a given time came, or the zero
// time if none has come.
func (w *witness) after(at time.Time) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	i, _ := slices.BinarySearchFunc(w.heard, at, time.Time.Compare)
	if i == len(w.heard) {
		return time.Time{}
	}
	return w.heard[i]
}

// Publishers other than ours refuse changes silently and keep running. The
// subscriber then asks for whole lists without a pause.
func TestForeignPublishersRefuseChanges(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	const (
		promptly    = 1500 * time.Millisecond // less than a pause of two seconds
		redialPause = 75 * time.Millisecond   // the shortest
		inTurn      = 20
	)
	for _, publisher := range foreignPublishers {
		for scheme, together := range map[string]int{
			"tcp": 20,
			"ipc": 4, // the backlog of a socket file is 10 in nanomsg
		} {
			t.Run(publisher.name+"/"+scheme, func(t *testing.T) {
				t.Parallel()
				_, url := twoURLs(t, scheme)
				url, output := publisher.start(t, url)
				other := newWitness(t, url)
				eventually(t, "the publisher publishes", func() bool { return !other.after(time.Time{}).IsZero() })

				logger, book := newLogger()
				d := &gopherdiscovery.Dialer{Logger: logger}
				connect := func() *gopherdiscovery.Subscriber {
					t.Helper()
					sub, err := d.NewSubscriber(context.Background(), url)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { sub.Close() })
					return sub
				}
				connected := func(sub *gopherdiscovery.Subscriber) func() bool {
					return func() bool { return sub.Servers()[0].Connected }
				}

				first := connect()
				eventually(t, "the subscriber is connected", connected(first))
				from := time.Now()
				await(t, first.Changes(), "one", "two")
				listed := time.Now()
				if !first.Servers()[0].Complete {
					t.Error("the list is not complete, want it to be: it is whole")
				}
				eventually(t, "the publisher still serves others", func() bool { return !other.after(from).IsZero() })
				late := listed.Sub(other.after(from))
				if late > promptly {
					t.Errorf("the list came %v later than to an old subscriber, want %v at most", late, promptly)
				}

				var took []time.Duration
				for range inTurn {
					start := time.Now()
					sub := connect()
					eventually(t, "the subscriber is connected", connected(sub))
					took = append(took, time.Since(start))
					sub.Close()
				}
				slices.Sort(took)
				t.Logf("connected after %v to %v, in the median %v; list %v later than to an old subscriber",
					took[0], took[inTurn-1], took[inTurn/2], late)
				if took[0] >= redialPause {
					t.Errorf("connected after %v at best, want less than a pause before a redial, %v", took[0], redialPause)
				}

				var subs []*gopherdiscovery.Subscriber
				for range together {
					subs = append(subs, connect())
				}
				for _, sub := range subs {
					await(t, sub.Changes(), "one", "two")
				}
				from = time.Now()
				eventually(t, "the publisher still serves others", func() bool { return !other.after(from).IsZero() })
				await(t, connect().Changes(), "one", "two")
				if got := output(); got != "" {
					t.Errorf("the publisher has printed %q, want nothing", got)
				}
				if got := book.String(); got != "" {
					t.Errorf("the subscribers have logged %q, want nothing", got)
				}
			})
		}
	}
}
