package gopherdiscovery_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// The path of a client is dead, but both ends of its connection stay open. After
// three pauses the client dials again. The server, which considers it hung, has
// then just dropped it.
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
