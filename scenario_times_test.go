package gopherdiscovery_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// The tests in this file run in fake time over inproc, so times are exact, and
// a goroutine left behind fails the test.

func TestTimesOfJoinAndLeave(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		server := bubbleServer(t, bubbleOptions)
		sub := newRecord(subscribe(t, server).Changes())
		announce(t, server, "a")
		time.Sleep(1999 * time.Millisecond)
		sub.expect(t)
		time.Sleep(1 * time.Millisecond)
		sub.expect(t, delivered{2 * time.Second, "a"})

		b := announce(t, server, "b")
		sub.expect(t, delivered{2 * time.Second, "a b"})
		time.Sleep(500 * time.Millisecond)
		b.Close()
		sub.expect(t, delivered{2500 * time.Millisecond, "a"})
		time.Sleep(time.Hour)
		sub.expect(t)
	})
}

func TestEmptyFirstList(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		server := bubbleServer(t, bubbleOptions)
		sub := subscribe(t, server)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		select {
		case list := <-sub.Changes():
			if list == nil || len(list) != 0 {
				t.Errorf("got list %#v, want an empty one that is not nil", list)
			}
		default:
			t.Error("got no list, want an empty one")
		}
	})
}

func TestBurstOfJoinsIsAFewLists(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		opt := bubbleOptions
		opt.JoinInterval = 20 * time.Millisecond
		server := bubbleServer(t, opt)
		sub := newRecord(subscribe(t, server).Changes())
		time.Sleep(2 * time.Second)
		sub.expect(t, delivered{2 * time.Second, ""})
		for i := range 10 {
			announce(t, server, fmt.Sprint(i))
			synctest.Wait()
			time.Sleep(1 * time.Millisecond)
		}
		time.Sleep(20 * time.Millisecond)
		sub.expect(t,
			delivered{2*time.Second + 0*time.Millisecond, "0"},
			delivered{2*time.Second + 20*time.Millisecond, "0 1 2 3 4 5 6 7 8 9"})
	})
}

func TestJoinsWaitForThePollWithoutJoinInterval(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		opt := bubbleOptions
		opt.JoinInterval = -1
		server := bubbleServer(t, opt)
		sub := newRecord(subscribe(t, server).Changes())
		time.Sleep(3 * time.Second)
		sub.expect(t, delivered{2 * time.Second, ""})
		announce(t, server, "a")
		time.Sleep(3 * time.Second)
		sub.expect(t, delivered{4 * time.Second, "a"})
	})
}

// A silent client is dropped once it has missed MissedSurveys surveys in a row,
// and not before.
func TestSilentClient(t *testing.T) {
	for _, limit := range []int{1, 2, 5} {
		gopherdiscovery.FakeTime(t, func(t *testing.T) {
			opt := bubbleOptions
			opt.MissedSurveys = limit
			server := bubbleServer(t, opt)
			sub := newRecord(subscribe(t, server).Changes())
			silent := silentClient(t)
			answer := func() { answerSurvey(t, silent, "silent") }
			answer()
			announce(t, server, "good")
			time.Sleep(2 * time.Second)
			answer() // the poll at 2 s
			sub.expect(t, delivered{2 * time.Second, "good silent"})

			// Each poll lasts 1 s because of the silent client, and the next
			// one begins 2 s later.
			for i := range limit {
				sub.expect(t)
				if i < limit-1 {
					time.Sleep(3 * time.Second)
				}
			}
			time.Sleep(3 * time.Second)
			sub.expect(t, delivered{2*time.Second + time.Duration(limit)*3*time.Second, "good"})
			if got := server.Stats().Missed; got != uint64(limit) {
				t.Errorf("Stats.Missed: got %d, want %d", got, limit)
			}

			// The client was only asleep: its next answer puts it back on the
			// list at once.
			time.Sleep(1 * time.Second)
			for range limit {
				if _, err := silent.Recv(); err != nil {
					t.Fatal(err)
				}
			}
			if err := silent.Send([]byte("silent")); err != nil {
				t.Fatal(err)
			}
			sub.expect(t, delivered{3*time.Second + time.Duration(limit)*3*time.Second, "good silent"})
		})
	}
}

// A name on the list that does not answer is silent until the end of the next
// poll.
func TestSilent(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		server := bubbleServer(t, bubbleOptions)
		expect := func(want ...string) {
			t.Helper()
			synctest.Wait()
			if got, count := server.Silent(), server.Stats().Silent; !slices.Equal(got, want) || count != len(want) {
				t.Errorf("got %q, and %d in Stats, want %q", got, count, want)
			}
		}
		a, b := silentClient(t), silentClient(t)
		answer := func() {
			answerSurvey(t, a, "a")
			answerSurvey(t, b, "b")
		}
		answer()
		announce(t, server, "good")
		time.Sleep(2 * time.Second)
		answer() // the poll at 2 s
		time.Sleep(2999 * time.Millisecond)
		expect()
		time.Sleep(time.Millisecond) // the end of the poll at 4 s
		expect("a", "b")
		clear(server.Silent())
		answer()
		time.Sleep(1999 * time.Millisecond)
		expect("a", "b")
		time.Sleep(time.Millisecond)
		answer() // the poll at 7 s
		expect()

		time.Sleep(4 * time.Second)
		expect("a", "b")
		a.Close()
		time.Sleep(20 * time.Millisecond) // it has left
		expect("b")
		server.Close()
		expect()
	})
}

// A client that answers every other survey never misses two in a row.
func TestClientThatMissesEverySecondSurveyStays(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		server := bubbleServer(t, bubbleOptions)
		sub := newRecord(subscribe(t, server).Changes())
		forgetful := silentClient(t)
		go func() {
			for i := 0; ; i++ {
				if _, err := forgetful.Recv(); err != nil {
					return
				}
				if i%2 == 0 {
					_ = forgetful.Send([]byte("forgetful"))
				}
			}
		}()
		time.Sleep(10 * time.Minute)
		sub.expect(t, delivered{2 * time.Second, "forgetful"})
		if server.Stats().Missed < 50 {
			t.Error("the client has missed next to nothing: the test is wrong")
		}
	})
}

// An answer that arrives after its survey has ended and the next one has begun
// still proves that the client is alive.
func TestLateAnswersCount(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		server := bubbleServer(t, bubbleOptions)
		sub := newRecord(subscribe(t, server).Changes())
		slow := silentClient(t)
		for range 3 {
			ctx, err := slow.OpenContext()
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				for {
					if _, err := ctx.Recv(); err != nil {
						return
					}
					select {
					// The polls are 3 s apart.
					case <-time.After(3500 * time.Millisecond):
					case <-t.Context().Done():
					}
					_ = ctx.Send([]byte("slow"))
				}
			}()
		}
		time.Sleep(10 * time.Minute)
		sub.expect(t,
			delivered{2000 * time.Millisecond, ""},
			delivered{3500 * time.Millisecond, "slow"})
	})
}

func TestRecvDeadlineEndsASurvey(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		opt := bubbleOptions
		opt.RecvDeadline = 100 * time.Millisecond
		opt.MissedSurveys = 1
		server := bubbleServer(t, opt)
		sub := newRecord(subscribe(t, server).Changes())
		silent := silentClient(t)
		if _, err := silent.Recv(); err != nil {
			t.Fatal(err)
		}
		if err := silent.Send([]byte("silent")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		sub.expect(t,
			delivered{2000 * time.Millisecond, "silent"},
			delivered{2100 * time.Millisecond, ""})
	})
}

// One of 50 clients hangs. Joins and leaves of the others are seen as if it
// were not there, whether or not a poll is running.
func TestHungClientDelaysNobody(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		server := bubbleServer(t, bubbleOptions)
		for i := range 49 {
			announce(t, server, fmt.Sprintf("good%02d", i))
		}
		silentClient(t)
		all := subscribe(t, server)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := len(<-all.Changes()); got != 49 {
			t.Fatalf("the first list has %d names, want 49: it must not wait for a client that has had a survey's time", got)
		}
		sub := newRecord(all.Changes())
		// These are 100 ms apart, so some fall into polls and some between
		// them.
		for range 30 {
			start := time.Since(sub.start)
			client := announce(t, server, "zz")
			synctest.Wait()
			joined := time.Since(sub.start)
			client.Close()
			synctest.Wait()
			sub.mu.Lock()
			if len(sub.got) != 2 || sub.got[0].at != start || sub.got[1].at != joined ||
				!strings.HasSuffix(sub.got[0].list, " zz") || strings.HasSuffix(sub.got[1].list, " zz") {
				t.Errorf("joined and left at %v: delivered %v", start, sub.got)
			}
			sub.got = nil
			sub.mu.Unlock()
			time.Sleep(100 * time.Millisecond)
		}
	})
}

// Subscribers notice neither a restart after which the clients reconnect in
// time nor an hour without a server.
func TestRestartFlapsNobody(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		server := bubbleServer(t, bubbleOptions)
		sub := newRecord(subscribe(t, server).Changes())
		for i := range 20 {
			announce(t, server, fmt.Sprintf("client%02d", i))
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		sub.mu.Lock()
		sub.got = nil
		sub.mu.Unlock()
		for _, pause := range []time.Duration{0, 50 * time.Millisecond, time.Hour} {
			server.Close()
			time.Sleep(pause)
			server = bubbleServer(t, bubbleOptions)
			time.Sleep(10 * time.Second)
		}
		sub.expect(t)
		if got := len(server.Services()); got != 20 {
			t.Errorf("the server lists %d services after its restart, want 20", got)
		}
	})
}

// A client that dies while the server is away is missing from the first list
// afterwards.
func TestRestartNoticesWhoIsGone(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		server := bubbleServer(t, bubbleOptions)
		sub := newRecord(subscribe(t, server).Changes())
		announce(t, server, "a")
		b := announce(t, server, "b")
		time.Sleep(3 * time.Second)
		sub.expect(t, delivered{2 * time.Second, "a b"})
		server.Close()
		b.Close()
		bubbleServer(t, bubbleOptions)
		time.Sleep(2 * time.Second)
		sub.expect(t, delivered{5 * time.Second, "a"})
	})
}

func TestNothingIsLoggedWithoutFaults(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		logger, book := newLogger()
		opt := bubbleOptions
		opt.Logger = logger
		server := bubbleServer(t, opt)
		d := &gopherdiscovery.Dialer{Logger: logger}
		var ends []func() error
		for i := range 5 {
			client, err := d.ClientWithSub(context.Background(), inprocSurvey, inprocLists, fmt.Sprint(i))
			if err != nil {
				t.Fatal(err)
			}
			ends = append(ends, client.Close)
		}
		time.Sleep(time.Hour)
		for _, end := range append(ends, server.Close) {
			if err := end(); err != nil {
				t.Error(err)
			}
		}
		if got := book.String(); got != "" {
			t.Errorf("an hour without trouble and a clean stop were logged:\n%s", got)
		}
	})
}

// An outage of the server is logged in one line, and its end in another.
func TestOutageIsLoggedOnce(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		logger, book := newLogger()
		d := &gopherdiscovery.Dialer{Logger: logger}
		client, err := d.Client(context.Background(), inprocSurvey, "one")
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		time.Sleep(time.Hour)
		if got := strings.Count(book.String(), "\n"); got != 1 || !strings.Contains(book.String(), inprocSurvey) {
			t.Errorf("an hour without a server was logged in %d lines, want 1 with the URL:\n%s", got, book)
		}
		bubbleServer(t, bubbleOptions)
		time.Sleep(2 * time.Second)
		if got := strings.Count(book.String(), "\n"); got != 2 {
			t.Errorf("an outage and its end were logged in %d lines, want 2:\n%s", got, book)
		}
	})
}
