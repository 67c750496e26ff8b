package gopherdiscovery_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// The path of a client is dead, but both ends of its connection stay open. The
// server considers the client hung. The client dials again after 30 s without a
// survey, and is listed again.
func TestDeadPathOfAClient(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t) // asked at 8 s
		w.Deaden("survey0/a3")
		// The client misses the polls at 10 s and 13 s, which last a second
		// each.
		time.Sleep(5*time.Second - 1)
		lists.expect(t)
		time.Sleep(time.Nanosecond)
		lists.expect(t, delivered{14 * time.Second, "a0 a1 a2 a4 a5 a6 a7 a8 a9"})
		time.Sleep(24*time.Second - 1)
		lists.expect(t)
		if got := len(w.Conns("survey0/a3")); got != 1 {
			t.Errorf("got %d connections of the client, want 1", got)
		}
		time.Sleep(back)
		lists.expectWithin(t, 38*time.Second, 38*time.Second+back, ten)
		if got := len(w.Conns("survey0/a3")); got != 2 {
			t.Errorf("got %d connections of the client, want 2", got)
		}
		time.Sleep(10 * time.Minute)
		lists.expect(t)
		if got := len(w.Conns("survey0/a0")); got != 1 {
			t.Errorf("got %d connections of another client, want 1", got)
		}
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

// A client whose surveys are far apart waits for ten times the pause between
// them.
func TestDeadPathWithRareSurveys(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w := newTown(t)
		rare := bubbleOptions
		rare.PollTime = 10 * time.Second
		startServerAt(t, w.URL(survey(0)), w.URL(lists(0)), rare)
		w.client("a", 0)
		time.Sleep(35 * time.Second) // it was asked at 0, 10, 20 and 30 s
		w.Deaden("survey0/a")
		time.Sleep(95*time.Second - 1)
		if got := len(w.Conns("survey0/a")); got != 1 {
			t.Errorf("got %d connections before 10 pauses, want 1", got)
		}
		time.Sleep(back)
		if got := len(w.Conns("survey0/a")); got != 2 {
			t.Errorf("got %d connections after 10 pauses, want 2", got)
		}
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
// surveys: late on its first connection, and soon on a later one.
func TestDeadPathFromTheFirstSurvey(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w := newTown(t)
		w.server(0)
		start := time.Now()
		w.client("a", 0)
		synctest.Wait() // it has been asked once
		w.Deaden("survey0/a")
		time.Sleep(time.Hour - 1)
		if got := len(w.Conns("survey0/a")); got != 1 {
			t.Errorf("got %d connections within an hour, want 1", got)
		}
		time.Sleep(back)
		if got := len(w.Conns("survey0/a")); got != 2 {
			t.Errorf("got %d connections after an hour, want 2", got)
		}
		time.Sleep(time.Minute) // it is asked every 2 s
		w.Cut("survey0/a")
		time.Sleep(back)
		w.Deaden("survey0/a")
		time.Sleep(2*time.Minute - back)
		if got := len(w.Conns("survey0/a")); got != 3 {
			t.Errorf("got %d connections, want 3", got)
		}
		time.Sleep(back + 2*time.Second)
		if got := len(w.Conns("survey0/a")); got != 4 {
			t.Errorf("got %d connections %v after the start, want 4", got, time.Since(start))
		}
	})
}

// A server that surveys every hour, and soon after a client has connected,
// keeps its clients.
func TestRareSurveysAreNoDeadPath(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w := newTown(t)
		rare := bubbleOptions
		rare.PollTime = 55 * time.Minute
		startServerAt(t, w.URL(survey(0)), w.URL(lists(0)), rare)
		w.client("a", 0)
		time.Sleep(20 * time.Hour)
		if got := len(w.Conns("survey0/a")); got != 1 {
			t.Errorf("got %d connections, want 1", got)
		}
	})
}
