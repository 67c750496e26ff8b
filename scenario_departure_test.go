package gopherdiscovery_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

const goodbyeID = "\x80\x00\x00\x00"

// A client that is closed answers the survey that no one has sent, with the
// backtrace of the one before, and then ends the connection. It does so
// although the server goes on asking. On a connection on which it was not asked
// it says nothing.
func TestGoodbyeOnTheWire(t *testing.T) {
	for _, test := range []struct{ name, survey, answer, goodbye string }{
		{"asked", "\x80\x00\x00\x01", "\x80\x00\x00\x01bye", goodbyeID + "bye"},
		{"asked through a device", "\x00\x00\x00\x07\x80\x00\x00\x01", "\x00\x00\x00\x07\x80\x00\x00\x01bye", "\x00\x00\x00\x07" + goodbyeID + "bye"},
		{"not asked", "", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := sptest.Listen(t, "tcp://127.0.0.1:0")
			client, err := quiet.Client(context.Background(), l.URL, "bye")
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			server, _ := l.AcceptOnly(t, sptest.Surveyor, sptest.Respondent)
			if test.survey != "" {
				for range 2 {
					if err := server.Send([]byte(test.survey)); err != nil {
						t.Fatal(err)
					}
					if got := server.MustReceive(t); string(got) != test.answer {
						t.Fatalf("answered %q, want %q", got, test.answer)
					}
				}
			}
			client.Cancel()
			var said []byte
			for {
				server.SetReadDeadline(time.Now().Add(patience))
				body, err := server.Receive()
				if err == io.EOF || test.survey == "" {
					break
				}
				if err != nil {
					t.Fatalf("the client has said %q, and then: %v", said, err)
				}
				said = append(said, body...)
				_ = server.Send([]byte(test.survey))
			}
			if string(said) != test.goodbye {
				t.Errorf("said %q, want %q", said, test.goodbye)
			}
			server.Close()
			client.Wait()
		})
	}
}

// A goodbye arrives over every transport. If most clients were lost, the list
// would become incomplete.
func TestGoodbyeOverEachTransport(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"tcp", "tls+tcp", "ipc", "inproc"} {
		t.Run(scheme, func(t *testing.T) {
			opt, dialer := quickOptions, quiet
			survey, pubsub := anyTLSPort, anyTLSPort
			if scheme == "tls+tcp" {
				opt, dialer = tlsPair(t, newAuthority(t), "client")
			} else {
				survey, pubsub = twoURLs(t, scheme)
			}
			server := startServerAt(t, survey, pubsub, opt)
			survey, pubsub = server.URLs()
			sub, err := dialer.NewSubscriber(context.Background(), pubsub)
			if err != nil {
				t.Fatal(err)
			}
			defer sub.Close()
			clients := make(map[string]*gopherdiscovery.DiscoveryClient)
			for i := range 10 {
				name := fmt.Sprint("c", i)
				if clients[name], err = dialer.Client(context.Background(), survey, name); err != nil {
					t.Fatal(err)
				}
				defer clients[name].Close()
			}
			await(t, sub.Changes(), strings.Fields("c0 c1 c2 c3 c4 c5 c6 c7 c8 c9")...)
			testmain.Await(t, "the list is complete", func() bool { return server.Stats().Complete })
			for i := 1; i < 10; i++ {
				clients[fmt.Sprint("c", i)].Cancel()
			}
			await(t, sub.Changes(), "c0")
			if !server.Stats().Complete {
				t.Error("goodbyes count as losses")
			}
		})
	}
}

// A leave is seen at once, although others may follow.
func TestGoodbyeIsSeenAtOnce(t *testing.T) {
	for _, test := range []struct {
		name  string
		leave int
		want  string
	}{
		{"one", 1, ten[3:]},
		{"most", 9, "a9"},
		{"all", 10, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			gopherdiscovery.FakeTime(t, func(t *testing.T) {
				w := newFakeCluster(t)
				w.server(0)
				var clients []*gopherdiscovery.DiscoveryClient
				for i := range 10 {
					clients = append(clients, w.client(fmt.Sprint("a", i), 0))
				}
				time.Sleep(5 * time.Second)
				lists := newRecord(w.subscriber("sub", 0).Changes())
				synctest.Wait()
				lists.expect(t, delivered{0, ten})
				time.Sleep(time.Second)
				for _, client := range clients[:test.leave] {
					client.Cancel()
				}
				for _, client := range clients[:test.leave] {
					client.Wait()
				}
				if got := time.Since(lists.start); got != time.Second {
					t.Errorf("the clients have ended after %v", got-time.Second)
				}
				synctest.Wait()
				lists.mu.Lock()
				defer lists.mu.Unlock()
				if n := len(lists.got); n == 0 || lists.got[n-1] != (delivered{time.Second, test.want}) {
					t.Errorf("delivered %v, want %q at once", lists.got, test.want)
				}
			})
		})
	}
}

// A client that leaves two servers, of which one has hung, says goodbye to the
// other and does not wait for the one that hangs.
func TestGoodbyeToAHungServer(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w := newFakeCluster(t)
		w.server(0)
		w.server(1)
		client := w.client("a", 0, 1)
		w.client("b", 0, 1)
		time.Sleep(5 * time.Second)
		lists := newRecord(w.subscriber("sub", 1).Changes())
		w.Freeze("survey0")
		synctest.Wait()
		lists.expect(t, delivered{0, "a b"})
		client.Cancel()
		lists.expect(t, delivered{0, "b"})
		client.Wait()
		if got := time.Since(lists.start); got > 100*time.Millisecond {
			t.Errorf("the client has ended after %v", got)
		}
		w.Thaw("survey0")
	})
}

// Goodbyes and answers on many connections do not mix: a name that was told to
// leave does not come back.
func TestGoodbyeAmongAnswers(t *testing.T) {
	opt := quickOptions
	opt.PollTime = time.Millisecond
	opt.SurveyTime = time.Second
	server := startServer(t, opt)
	sub := subscribe(t, server)
	announce(t, server, "stays")
	await(t, sub.Changes(), "stays")
	for range 100 {
		client := announce(t, server, "goes")
		await(t, sub.Changes(), "goes", "stays")
		client.Close()
		await(t, sub.Changes(), "stays")
	}
	expectNone(t, sub.Changes())
	if got := server.Stats().Rejected; got != 0 {
		t.Errorf("%d messages were rejected", got)
	}
}

// A client that closes soon after it has connected logs nothing.
func TestGoodbyeIsNoOutage(t *testing.T) {
	server := startServer(t, quickOptions)
	survey, _ := server.URLs()
	logger, book := newLogger()
	for range 20 {
		client, err := (&gopherdiscovery.Dialer{Logger: logger}).Client(context.Background(), survey, "a")
		if err != nil {
			t.Fatal(err)
		}
		testmain.Await(t, "the client is listed", func() bool { return server.Stats().Services == 1 })
		client.Close()
		testmain.Await(t, "the client has left", func() bool { return server.Stats().Services == 0 })
	}
	if got := book.String(); got != "" {
		t.Errorf("logged:\n%s\nwant nothing", got)
	}
}

// back is the longest time before a disconnected client is surveyed again: it
// pauses, dials, and is surveyed with the others of its batch.
const back = 100*time.Millisecond + 20*time.Millisecond

// crowded returns a fakeCluster in its tenth second. One server lists the
// clients a0 to a9, and a subscriber has that list.
func crowded(t *testing.T) (w fakeCluster, clients []*gopherdiscovery.DiscoveryClient, lists *record) {
	t.Helper()
	return crowdedWith(t, bubbleOptions)
}

// crowdedWith is crowded with other options of the server.
func crowdedWith(t *testing.T, opt gopherdiscovery.Options) (w fakeCluster, clients []*gopherdiscovery.DiscoveryClient, lists *record) {
	t.Helper()
	w = newFakeCluster(t)
	startServerAt(t, w.URL(survey(0)), w.URL("lists0"), opt)
	lists = newRecord(w.subscriber("sub", 0).Changes())
	for i := range 10 {
		clients = append(clients, w.client(fmt.Sprint("a", i), 0))
	}
	time.Sleep(9 * time.Second)
	lists.forget()
	return w, clients, lists
}

// The server's network fails for a while. Clients that come back in time never
// leave the list. No subscriber is told anything, whether it kept its
// connection or lost it too.
func TestMassLossAndReturn(t *testing.T) {
	for _, test := range []struct {
		name string
		away time.Duration
		too  bool // the subscribers lose theirs
	}{
		{"clients, for a moment", 0, false},
		{"clients, for half a second", 500 * time.Millisecond, false},
		{"everyone, for a moment", 0, true},
		{"everyone, for a second", time.Second, true},
		{"everyone, for 5 seconds", 5 * time.Second, true},
		{"everyone, for a minute", time.Minute, true},
		{"everyone, for 9 minutes", 9 * time.Minute, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 3 { // the server hears of it in varying order
				gopherdiscovery.FakeTime(t, func(t *testing.T) {
					w, _, lists := crowded(t)
					another := newRecord(w.subscriber("another", 0).Changes())
					another.forget()
					plug := w.Unplug("survey0")
					plugLists := func() {}
					if test.too {
						plugLists = w.Unplug("lists0")
					}
					time.Sleep(test.away)
					plug()
					plugLists()
					time.Sleep(3 * time.Minute)
					lists.expect(t)
					another.expect(t)
				})
			}
		})
	}
}

// Most of the clients lose their connections, but not all.
func TestLossOfMost(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t)
		for i := range 6 {
			w.Cut(fmt.Sprint("survey0/a", i))
		}
		time.Sleep(10 * time.Minute)
		lists.expect(t)
	})
}

// Clients that do not come back leave the list when ReturnTime is over, which
// is 2 s in these tests. One list tells of all of them. If no client at all is
// left, the path to all of them may be down, and ReturnTime begins 30 s later.
func TestMassLeaveIsSeenAfterReturnTime(t *testing.T) {
	for _, test := range []struct {
		name  string
		leave int
		at    time.Duration
		want  string
	}{
		{"most", 8, 11 * time.Second, "a8 a9"},
		{"all", 10, 41 * time.Second, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			gopherdiscovery.FakeTime(t, func(t *testing.T) {
				w, _, lists := crowded(t)
				for i := range test.leave {
					name := fmt.Sprint("survey0/a", i)
					w.Cut(name)
					w.Freeze(name) // it dials, and gets no further
				}
				time.Sleep(test.at - 9*time.Second - 1)
				lists.expect(t)
				time.Sleep(time.Nanosecond)
				lists.expect(t, delivered{test.at, test.want})
				time.Sleep(time.Minute)
				lists.expect(t)
			})
		})
	}
}

// Most clients come back in time, but one comes back when its leave has been
// published. It joins at once.
func TestOneIsBackLate(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t)
		w.Freeze("survey0/a3")
		w.Unplug("survey0")()
		// ReturnTime begins when the first client is back.
		time.Sleep(2*time.Second + back)
		lists.expectWithin(t, 11*time.Second, 11*time.Second+back, "a0 a1 a2 a4 a5 a6 a7 a8 a9")
		w.Thaw("survey0/a3")
		time.Sleep(5 * time.Second) // the time of a handshake
		lists.expectWithin(t, 11*time.Second, 17*time.Second, ten)
	})
}

// All clients come back, one after the other, when their leave has been
// published. One list has them all.
func TestAllAreBackLate(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t)
		plug := w.Unplug("survey0")
		time.Sleep(40 * time.Second)
		lists.expect(t, delivered{41 * time.Second, ""})
		plug()
		time.Sleep(10 * time.Minute)
		// The first one is back within a second, a client's longest pause.
		lists.mu.Lock()
		defer lists.mu.Unlock()
		if last := lists.got[len(lists.got)-1]; last.list != ten || last.at > 51*time.Second {
			t.Errorf("delivered %v, want %q within 2 s after 49 s", lists.got, ten)
		}
	})
}

// All clients lose their connections for 5 s, which is longer than PollTime and
// ReturnTime. The path was down, so none has left.
func TestPathIsDownForLongerThanReturnTime(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t)
		plug := w.Unplug("survey0")
		time.Sleep(29 * time.Second)
		plug()
		time.Sleep(10 * time.Minute)
		lists.expect(t)
		if kinds, _ := w.lastTo("sub", 0); bytes.Contains(kinds[2:], []byte{list}) || bytes.Contains(kinds, []byte{change}) {
			t.Errorf("the server has sent kinds %v, want only beats after the first list", kinds)
		}
	})
}

// Once all clients are back, the loss is forgotten. A client that then leaves
// and comes back causes a list at once each time.
func TestMassLossIsForgotten(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t)
		w.Unplug("survey0")()
		time.Sleep(11 * time.Second)
		w.Cut("survey0/a3")
		time.Sleep(gathered)
		lists.expect(t, delivered{20*time.Second + gathered, "a0 a1 a2 a4 a5 a6 a7 a8 a9"})
		time.Sleep(back)
		lists.expectWithin(t, 20*time.Second, 20*time.Second+back, ten)
	})
}

// Newcomers are listed at once, whatever has happened to other clients.
func TestNewcomerAfterAMassLoss(t *testing.T) {
	for _, test := range []struct {
		name   string
		before func(w fakeCluster)
		known  string
	}{
		{"no loss", func(fakeCluster) {}, ten},
		{"one has left and come back", func(w fakeCluster) {
			w.Cut("survey0/a3")
			time.Sleep(back)
		}, ten},
		{"all have left and come back", func(w fakeCluster) {
			w.Unplug("survey0")()
			time.Sleep(2 * time.Second)
		}, ten},
		{"most are away", func(w fakeCluster) {
			for i := range 8 {
				name := fmt.Sprint("survey0/a", i)
				w.Cut(name)
				w.Freeze(name)
			}
			time.Sleep(2*time.Second - 1)
		}, ten},
		{"most have left", func(w fakeCluster) {
			for i := range 8 {
				name := fmt.Sprint("survey0/a", i)
				w.Cut(name)
				w.Freeze(name)
			}
			time.Sleep(2 * time.Second)
		}, "a8 a9"},
	} {
		t.Run(test.name, func(t *testing.T) {
			gopherdiscovery.FakeTime(t, func(t *testing.T) {
				w, _, lists := crowded(t)
				test.before(w)
				lists.forget()
				now := time.Since(lists.start)
				w.client("new", 0)
				lists.expect(t, delivered{now, test.known + " new"})
			})
		})
	}
}

// expectWithin checks that exactly one list was delivered, and when.
func (r *record) expectWithin(t *testing.T, from, to time.Duration, want string) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.got) != 1 || r.got[0].list != want || r.got[0].at < from || r.got[0].at > to {
		t.Errorf("delivered %v, want one list, %q, between %v and %v", r.got, want, from, to)
	}
	r.got = nil
}

// A plain subscriber does not say that it has a list. Even if it reconnects
// before the clients do, it is not told that they have left.
func TestMassLossAndPlainSubscribers(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, _ := crowded(t)
		lists := newRecord(w.plainSubscriber("plain", 0).Changes())
		lists.forget()
		w.Freeze("lists0/sub") // it would be back as well
		plug, plugLists := w.Unplug("survey0"), w.Unplug("lists0")
		time.Sleep(5 * time.Second)
		plugLists()
		time.Sleep(time.Second)
		plug()
		time.Sleep(3 * time.Minute)
		lists.expect(t)
	})
}
