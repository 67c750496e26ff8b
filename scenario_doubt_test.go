package gopherdiscovery_test

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// newDoubtCluster returns a fakeCluster whose server is patient, with the
// clients a and b and a subscriber that has their list. The clients know how
// often they are asked, the last time at 8 s. It is 9 s. Everything that the
// clients log is in the book. With a negative JoinInterval the server surveys
// new connections only in its polls, which are 2 s apart.
func newDoubtCluster(t *testing.T, joinInterval time.Duration) (w fakeCluster, a *gopherdiscovery.DiscoveryClient, lists *record, book *logBook) {
	t.Helper()
	w = newFakeCluster(t)
	logger, book := newLogger()
	w.dialer = &gopherdiscovery.Dialer{Logger: logger}
	w.patientServer(joinInterval)
	lists = newRecord(w.subscriber("sub", 0).Changes())
	a = w.client("a", 0)
	w.client("b", 0)
	time.Sleep(9 * time.Second)
	lists.forget()
	return w, a, lists, book
}

// patientServer starts a server that drops no client for its silence.
func (w fakeCluster) patientServer(joinInterval time.Duration) *gopherdiscovery.DiscoveryServer {
	w.t.Helper()
	patient := bubbleOptions
	patient.MissedSurveys, patient.JoinInterval = 1000000, joinInterval
	server := startServerAt(w.t, w.URL(survey(0)), w.URL(lists(0)), patient)
	synctest.Wait()
	return server
}

// expect checks that each line logged since the last call has one of the
// wanted parts, in order.
func (l *logBook) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(strings.TrimSuffix(l.lines.String(), "\n"), "\n")
	if l.lines.Len() == 0 {
		lines = nil
	}
	ok := len(lines) == len(want)
	for i := 0; ok && i < len(want); i++ {
		ok = strings.Contains(lines[i], want[i])
	}
	if !ok {
		t.Errorf("logged:\n%s\nwant %d lines with %q", l.lines.String(), len(want), want)
	}
	l.lines.Reset()
}

// The path of a client dies in one direction or both. The client is surveyed on
// a new connection within seconds, and never leaves the list.
func TestDoubtThatIsRight(t *testing.T) {
	for _, test := range []struct {
		name  string
		die   func(w fakeCluster)
		at    time.Duration // when the client dials again
		cause string
	}{
		{"both directions", func(w fakeCluster) { w.Deaden("survey0/a") }, 14 * time.Second, "fallen silent"},
		{"surveys", func(w fakeCluster) { w.Mute("survey0/a", false) }, 14 * time.Second, "fallen silent"},
		{"answers", func(w fakeCluster) { w.Mute("survey0/a", true) }, 15 * time.Second, "acknowledges nothing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			gopherdiscovery.FakeTime(t, func(t *testing.T) {
				w, _, lists, book := newDoubtCluster(t, 0)
				test.die(w)
				time.Sleep(test.at - 9*time.Second - 1)
				w.ExpectConns(t, "survey0/a", 1, 1)
				book.expect(t)
				time.Sleep(time.Nanosecond)
				w.ExpectConns(t, "survey0/a", 2, 2) // it is surveyed at once
				time.Sleep(time.Second - 1)
				w.ExpectConns(t, "survey0/a", 2, 2) // its answer may be late
				time.Sleep(time.Nanosecond)
				w.ExpectConns(t, "survey0/a", 2, 1)
				time.Sleep(time.Hour)
				w.ExpectConns(t, "survey0/a", 2, 1)
				lists.expect(t)
				book.expect(t, "level=WARN msg=\"gopherdiscovery: cannot keep a connection to the server, retrying\" url="+w.URL("survey0/a")+" error=\"the server",
					"level=INFO msg=\"gopherdiscovery: the server is reached again\"")
			})
		})
	}
}

// A client that is surveyed, but whose answers do not arrive, keeps doubting
// its connection until it is surveyed on another one.
func TestSurveysDoNotSettleADoubtOfAnswers(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists, _ := newDoubtCluster(t, -1)
		w.Mute("survey0/a", true)
		time.Sleep(6*time.Second + time.Millisecond)
		w.ExpectConns(t, "survey0/a", 2, 2)
		w.Conns("survey0/a")[1].Freeze(true)
		time.Sleep(10 * time.Second)
		w.ExpectConns(t, "survey0/a", 2, 2)
		w.Conns("survey0/a")[1].Freeze(false)
		time.Sleep(7 * time.Second)
		w.ExpectConns(t, "survey0/a", 2, 1)
		lists.expect(t)
	})
}

// The first answer on the new connection does not arrive, for example because
// the machine of the server has been suspended. The old connection is kept
// until it does, so that its end does not come first.
func TestDoubtedConnectionIsKeptUntilTheNewOneIsHeard(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists, _ := newDoubtCluster(t, -1)
		w.Deaden("survey0/a")
		time.Sleep(6*time.Second + time.Millisecond)
		w.Mute("survey0/a", true)
		time.Sleep(4 * time.Second) // it is surveyed after one
		w.ExpectConns(t, "survey0/a", 2, 2)
		w.Conns("survey0/a")[1].Freeze(false)
		time.Sleep(time.Second)
		w.ExpectConns(t, "survey0/a", 2, 1)
		time.Sleep(time.Minute)
		lists.expect(t)
	})
}

// A server is slow to survey a connection, and does it before it has surveyed
// the other one. Nothing happens, and the client is more patient the next time.
func TestDoubtThatIsWrong(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists, book := newDoubtCluster(t, -1)
		for i, patience := range []time.Duration{6, 12, 24} {
			w.Deaden("survey0/a") // 1 s after a survey
			time.Sleep((patience-1)*time.Second - 1)
			w.ExpectConns(t, "survey0/a", 1+i, 1)
			time.Sleep(time.Second)
			w.ExpectConns(t, "survey0/a", 2+i, 2)
			w.Conns("survey0/a")[0].Freeze(false) // it has surveys to read
			w.ExpectConns(t, "survey0/a", 2+i, 1)
			time.Sleep(time.Hour) // polls are 2 s apart again
			lists.expect(t)
			book.expect(t)
		}
		// A doubt that is right restores the patience.
		for _, patience := range []time.Duration{48, 12} {
			made := len(w.Conns("survey0/a"))
			w.Deaden("survey0/a")
			time.Sleep((patience + 3) * time.Second)
			if got := len(w.Conns("survey0/a")); got == made {
				t.Errorf("no other connection was made in %d s", patience+3)
			}
			time.Sleep(time.Hour)
			lists.expect(t)
		}
	})
}

// While the server is frozen the client keeps its connection, and tries to make
// another one. It logs that once. When the server goes on, one connection
// remains.
func TestDoubtOfAFrozenServer(t *testing.T) {
	for _, frozen := range []time.Duration{7 * time.Second, time.Minute, time.Hour} {
		t.Run(frozen.String(), func(t *testing.T) {
			gopherdiscovery.FakeTime(t, func(t *testing.T) {
				w, _, lists, book := newDoubtCluster(t, 0)
				w.Freeze("survey0")
				time.Sleep(frozen)
				if attempts := len(w.Conns("survey0/a")) - 1; attempts < 1 || frozen > 10*time.Second && attempts < int(frozen/(22*time.Second)) {
					t.Errorf("made %d attempts in %v", attempts, frozen)
				}
				w.Thaw("survey0")
				time.Sleep(time.Hour)
				lists.expect(t)
				for _, name := range []string{"survey0/a", "survey0/b"} {
					w.ExpectConns(t, name, len(w.Conns(name)), 1)
				}
				got := book.String()
				if n := strings.Count(got, "level=WARN"); n > 2 || frozen < 10*time.Second && n > 0 {
					t.Errorf("logged %d warnings for two clients:\n%s", n, got)
				}
				if strings.Count(got, "level=WARN") != strings.Count(got, "level=INFO") {
					t.Errorf("not every outage has ended:\n%s", got)
				}
			})
		})
	}
}

// inDoubt makes the client a doubt its connection, and stops while another one
// is being made, or has been made and not yet been surveyed.
func inDoubt(t *testing.T, connected bool) (w fakeCluster, a *gopherdiscovery.DiscoveryClient) {
	t.Helper()
	w, a, _, _ = newDoubtCluster(t, -1)
	w.Deaden("survey0/a")
	if !connected {
		w.Freeze("survey0/a")
	}
	time.Sleep(6 * time.Second)
	w.ExpectConns(t, "survey0/a", 2, 2)
	return w, a
}

// The doubted connection ends while another one is being made, or has been made
// and not yet been surveyed. The other one takes its place.
func TestDoubtedConnectionEnds(t *testing.T) {
	for name, connected := range map[string]bool{"connecting": false, "connected": true} {
		t.Run(name, func(t *testing.T) {
			gopherdiscovery.FakeTime(t, func(t *testing.T) {
				w, _ := inDoubt(t, connected)
				w.Conns("survey0/a")[0].Cut()
				w.ExpectConns(t, "survey0/a", 2, 1)
				w.Conns("survey0/a")[1].Freeze(false)
				w.Thaw("survey0/a")
				time.Sleep(time.Minute)
				w.ExpectConns(t, "survey0/a", 2, 1)
				lists := newRecord(w.subscriber("new", 0).Changes())
				lists.expect(t, delivered{0, "a b"})
				// The client goes on as ever.
				w.Cut("survey0/a")
				time.Sleep(time.Minute)
				w.ExpectConns(t, "survey0/a", 3, 1)
				w.Deaden("survey0/a")
				time.Sleep(time.Minute)
				w.ExpectConns(t, "survey0/a", 4, 1)
			})
		})
	}
}

// The other connection ends before it was surveyed, and is made again.
func TestConnectionThatIsMadeInADoubtEnds(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _ := inDoubt(t, true)
		w.Conns("survey0/a")[1].Cut()
		time.Sleep(back)
		w.ExpectConns(t, "survey0/a", 3, 2)
		time.Sleep(time.Minute)
		w.ExpectConns(t, "survey0/a", 3, 1)
	})
}

// All connections end while a new one is being made, and the server is gone for
// a while.
func TestDoubtWhileTheServerRestarts(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists, _ := newDoubtCluster(t, 0)
		w.Freeze("survey0")
		time.Sleep(7 * time.Second)
		plug := w.Unplug("survey0")
		time.Sleep(time.Minute)
		plug()
		w.Thaw("survey0") // a port that is unplugged would stay frozen
		time.Sleep(time.Minute)
		for _, name := range []string{"survey0/a", "survey0/b"} {
			w.ExpectConns(t, name, len(w.Conns(name)), 1)
		}
		lists.forget()
		time.Sleep(time.Minute)
		lists.expect(t)
	})
}

// A client that is closed during a doubt leaves nothing behind.
func TestCloseDuringADoubt(t *testing.T) {
	for name, connected := range map[string]bool{"connecting": false, "connected": true} {
		t.Run(name, func(t *testing.T) {
			gopherdiscovery.FakeTime(t, func(t *testing.T) {
				w, a := inDoubt(t, connected)
				begun := time.Now()
				a.Close()
				if took := time.Since(begun); took > 100*time.Millisecond {
					t.Errorf("Close took %v", took)
				}
				time.Sleep(time.Hour)
				w.ExpectConns(t, "survey0/a", 2, 0)
			})
		})
	}
}

// A client that did not read what has come, because it was too busy, doubts
// nothing.
func TestBusyClientDoubtsNothing(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists, book := newDoubtCluster(t, 0)
		w.StopReading("survey0/a")
		time.Sleep(time.Minute)
		w.ExpectConns(t, "survey0/a", 1, 1)
		w.Revive("survey0/a")
		time.Sleep(time.Minute)
		w.ExpectConns(t, "survey0/a", 1, 1)
		lists.expect(t)
		book.expect(t)
	})
}

// A client that joins a cluster in which some have hung is asked more often at
// first than later. It stays on the list.
func TestDoubtAfterMorePollsThanUsual(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w := newFakeCluster(t)
		seldom := bubbleOptions
		seldom.PollTime = time.Minute
		seldom.Logger = slog.New(slog.DiscardHandler)
		startServerAt(t, w.URL(survey(0)), w.URL(lists(0)), seldom)
		for _, name := range []string{"h0", "h1", "h2", "b"} {
			w.client(name, 0)
		}
		time.Sleep(5 * time.Minute)
		for _, name := range []string{"h0", "h1", "h2"} {
			w.Freeze("survey0/" + name)
		}
		time.Sleep(50 * time.Second)
		w.client("a", 0)
		lists := newRecord(w.subscriber("sub", 0).Changes())
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		lists.mu.Lock()
		defer lists.mu.Unlock()
		was := false
		for _, l := range lists.got {
			is := strings.HasPrefix(l.list, "a b")
			if was && !is {
				t.Errorf("the client has left: %v", lists.got)
			}
			was = is
		}
		if n := len(w.Conns("survey0/a")); n > 8 {
			t.Errorf("the client has made %d connections in two hours", n)
		}
	})
}

// The path of a client is dead, but both ends of its connection stay open.
// After three pauses the client dials again. The server, which considers it
// hung, has then just dropped it.
func TestDeadPathOfAClient(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		opt := bubbleOptions
		opt.SurveyTime = 900 * time.Millisecond // a poll must not end when a3 dials again
		w, _, lists := crowdedWith(t, opt)      // asked at 8 s
		w.Deaden("survey0/a3")
		time.Sleep(5*time.Second - 1)
		lists.expect(t, delivered{13800 * time.Millisecond, "a0 a1 a2 a4 a5 a6 a7 a8 a9"})
		w.ExpectConns(t, "survey0/a3", 1, 1)
		time.Sleep(back)
		w.ExpectConns(t, "survey0/a3", 2, 2)
		time.Sleep(time.Second)
		w.ExpectConns(t, "survey0/a3", 2, 1)
		synctest.Wait()
		lists.mu.Lock()
		last := lists.got[len(lists.got)-1]
		lists.mu.Unlock()
		if last.at > 14*time.Second+back || last.list != ten {
			t.Errorf("delivered last %v, want %q by %v", last, ten, 14*time.Second+back)
		}
		lists.forget()
		time.Sleep(10 * time.Minute)
		lists.expect(t)
		w.ExpectConns(t, "survey0/a3", 2, 1)
		w.ExpectConns(t, "survey0/a0", 1, 1)
	})
}

// The paths of all clients are dead. The server doubts that all have hung, and
// keeps them on the list until they have dialled again.
func TestDeadPathOfAllClients(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t)
		w.Deaden("survey0")
		time.Sleep(10 * time.Minute)
		lists.expect(t)
	})
}

// A client whose surveys are far apart waits for three times the pause between
// them.
func TestDeadPathWithRareSurveys(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w := newFakeCluster(t)
		rare := bubbleOptions
		rare.PollTime = 10 * time.Second
		startServerAt(t, w.URL(survey(0)), w.URL(lists(0)), rare)
		w.client("a", 0)
		time.Sleep(35 * time.Second) // it was asked at 0, 10, 20 and 30 s
		w.Deaden("survey0/a")
		time.Sleep(25*time.Second - 1)
		w.ExpectConns(t, "survey0/a", 1, 1)
		time.Sleep(back)
		w.ExpectConns(t, "survey0/a", 2, 2)
		time.Sleep(time.Second)
		w.ExpectConns(t, "survey0/a", 2, 1)
	})
}

// A subscriber dials again after 30 s of silence, and is then sent what it has
// missed.
func TestDeadPathOfASubscriber(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, clients, lists := crowded(t) // told something at 8 s
		w.Deaden("lists0/sub")
		time.Sleep(11 * time.Second)
		clients[0].Close()
		w.client("new", 0)
		time.Sleep(18*time.Second - 1)
		lists.expect(t)
		if got := len(w.Conns("lists0/sub")); got != 1 {
			t.Errorf("got %d connections of the subscriber, want 1", got)
		}
		time.Sleep(back)
		lists.expectWithin(t, 38*time.Second, 38*time.Second+back, ten[3:]+" new")
		if kinds, _ := w.lastTo("sub", 0); [2]byte(kinds) != [2]byte{welcome, change} {
			t.Errorf("the server has sent kinds %v, want WELCOME and CHANGE", kinds)
		}
		time.Sleep(10 * time.Minute)
		lists.expect(t)
	})
}

// A client also notices that its path has died before it knew the pause between
// surveys.
func TestDeadPathFromTheFirstSurvey(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w := newFakeCluster(t)
		w.server(0)
		w.client("a", 0)
		synctest.Wait() // it has been asked once
		w.Deaden("survey0/a")
		time.Sleep(30*time.Second - 1)
		w.ExpectConns(t, "survey0/a", 1, 1)
		time.Sleep(back)
		w.ExpectConns(t, "survey0/a", 2, 2)
		time.Sleep(time.Second)
		w.ExpectConns(t, "survey0/a", 2, 1)
	})
}

// A server that surveys seldom, and soon after a client has connected, is
// doubted less and less often, and loses its clients never.
func TestRareSurveysAreNoDeadPath(t *testing.T) {
	for _, test := range []struct {
		pollTime time.Duration
		conns    int
	}{{50 * time.Second, 2}, {10 * time.Minute, 6}, {55 * time.Minute, 8}} {
		t.Run(test.pollTime.String(), func(t *testing.T) {
			gopherdiscovery.FakeTime(t, func(t *testing.T) {
				w := newFakeCluster(t)
				rare := bubbleOptions
				rare.PollTime = test.pollTime
				startServerAt(t, w.URL(survey(0)), w.URL(lists(0)), rare)
				lists := newRecord(w.subscriber("sub", 0).Changes())
				w.client("a", 0)
				time.Sleep(20 * time.Second)
				synctest.Wait()
				lists.expect(t, delivered{50 * time.Millisecond, "a"})
				time.Sleep(20 * time.Hour)
				lists.expect(t)
				w.ExpectConns(t, "survey0/a", test.conns, 1)
			})
		})
	}
}
