package gopherdiscovery

import (
	"fmt"
	"testing"
	"time"
)

// If there are few clients, a single leave is published at once.
func TestScheduleLeaveAlone(t *testing.T) {
	s := running(t, Options{})
	s.connect(2)
	s.expect(2100, "ask 2; wake 4000")
	s.hear(2101, 2, "b")
	s.expect(2101, "publish a b; wake 4000")
	s.disconnect(1, s.at(2102))
	s.expect(2102, "publish b; wake 4000")
}

// throng returns a schedule with n connections and as many names. Its first
// list has been published at 2000, and its first poll has ended at 2001.
func throng(t *testing.T, n int) *script {
	s := newScript(t, Options{})
	for id := range n {
		s.connect(id)
	}
	s.next(s.at(0))
	for id := range n {
		s.hear(1, id, fmt.Sprint(id))
	}
	s.next(s.at(2000))
	for id := range n {
		s.hear(2001, id, fmt.Sprint(id))
	}
	s.next(s.at(2001))
	return s
}

// A leave waits 5 ms for another one, and several wait for more: until there
// has been none for 100 ms, but not for more than a second.
func TestScheduleLeavesAreGathered(t *testing.T) {
	s := throng(t, 100)
	expect := func(at int, published bool) {
		t.Helper()
		if do, _ := s.next(s.at(at)); do.publish != published {
			t.Errorf("at %d ms: published %t, want %t", at, do.publish, published)
		}
	}
	s.disconnect(0, s.at(3000))
	expect(3004, false)
	expect(3005, true)
	s.disconnect(1, s.at(3100))
	s.disconnect(2, s.at(3104))
	expect(3203, false)
	expect(3204, true)
	s.disconnect(3, s.at(5000))
	for i := range 12 {
		s.disconnect(4+i, s.at(5004+90*i))
		expect(5004+90*i, 90*i+4 >= 1000)
	}
}

// A subscriber that comes just after a connection has ended waits until that
// has been published.
func TestScheduleMayGreet(t *testing.T) {
	s := crowd(t)
	s.disconnect(0, s.at(2099))
	s.disconnect(1, s.at(2100))
	for _, test := range []struct {
		at   int
		want bool
	}{{2100, false}, {2104, false}, {2105, true}} {
		if got := s.mayGreet(s.at(test.at)); got != test.want {
			t.Errorf("at %d ms: got %t, want %t", test.at, got, test.want)
		}
	}
	s.expect(2105, "publish 2 3; wake 4000")
	s.woke(s.at(2105), s.at(5000))
	for _, test := range []struct {
		at   int
		want bool
	}{{5000, false}, {5199, false}, {5200, true}} {
		if got := s.mayGreet(s.at(test.at)); got != test.want {
			t.Errorf("after a halt, at %d ms: got %t, want %t", test.at, got, test.want)
		}
	}
}

// The end of a connection does not hold up subscribers if its name is known on
// another connection, or if it has no name.
func TestScheduleMayGreetAfterEndsThatChangeNothing(t *testing.T) {
	s := newScript(t, Options{})
	for id := range 20 {
		s.connect(id)
	}
	s.next(s.at(0))
	for id := range 10 {
		s.hear(1, id, "shared")
	}
	s.next(s.at(2000))
	s.hear(2001, 0, "shared")
	s.next(s.at(3001))
	for id := 1; id < 19; id += 2 {
		s.disconnect(id, s.at(3100))
	}
	s.next(s.at(3100))
	if !s.mayGreet(s.at(3100)) {
		t.Error("a subscriber has to wait, and there is nothing to tell before it")
	}
}

// However long the surveys and the pauses between them are, and however many
// may be missed, a name is not dropped before it has missed them.
func TestScheduleCountsLongSurveys(t *testing.T) {
	for _, opt := range []Options{
		{MissedSurveys: 100},
		{MissedSurveys: 3, PollTime: 5 * time.Minute},
		{SurveyTime: 3 * time.Minute},
	} {
		t.Run(fmt.Sprint(opt.MissedSurveys, opt.PollTime, opt.SurveyTime), func(t *testing.T) {
			s := newScript(t, opt)
			s.connect(1)
			s.next(s.at(0))
			s.hear(0, 1, "a")
			missed := 0
			for now := s.at(0); s.names["a"] != nil; {
				var do actions[int]
				do, now = s.next(now)
				missed += do.missed
			}
			if missed != s.poll.limit {
				t.Errorf("dropped after %d surveys, want %d", missed, s.poll.limit)
			}
		})
	}
}

// A client that has answered late through no fault of its own, or once after a
// very long time, is dropped as soon as others when it hangs.
func TestScheduleForgetsLateFirstAnswers(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer int // when the first came; the client is asked at 0
		halted bool
		want   time.Duration
	}{
		{"the server was stopped", 20000, true, 0},
		{"a device had no clients behind it", 24 * 3600 * 1000, false, maxSilence},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t, Options{})
			s.connect(1)
			s.expect(0, "ask 1; wake 2000")
			if test.halted {
				s.woke(s.at(0), s.at(test.answer))
			}
			s.hear(test.answer, 1, "a")
			if got := s.conns[1].names["a"].slowest; got != test.want {
				t.Errorf("the server takes its slowest answer for one of %v, want %v", got, test.want)
			}
		})
	}
}

// A client that hangs also leaves while there is reason again and again to
// consider the list incomplete.
func TestScheduleLeaveWhileSubscribersComeBack(t *testing.T) {
	s := crowd(t)
	for id := range 3 {
		s.disconnect(id, s.at(2100))
	}
	s.next(s.at(2100))
	for now := 2500; s.names["3"] != nil; now += 500 {
		if now > 15000 {
			t.Fatal("a hung client has not left after 13 s")
		}
		if now%2500 == 0 {
			s.resubscribe(s.at(now))
		}
		s.next(s.at(now))
	}
}

// Connections that are lost again just before the list is complete have as
// much time to come back as the first time.
func TestScheduleMassLossAgain(t *testing.T) {
	s := crowd(t)
	for id := range 4 {
		s.disconnect(id, s.at(2100))
	}
	s.expect(2100, "publish incomplete; wake 4100")
	for id := 4; id < 8; id++ {
		s.connect(id)
	}
	s.expect(2500, "ask 4 5 6 7; wake 4100")
	for id := range 4 {
		s.hear(2501, 4+id, fmt.Sprint(id))
	}
	s.expect(2501, "publish incomplete 0 1 2 3; wake 4100")
	for id := 4; id < 8; id++ {
		s.disconnect(id, s.at(4000))
	}
	s.expect(4000, "publish incomplete; wake 6000")
	s.connect(8)
	s.expect(4100, "ask 8; wake 6000")
	s.hear(4101, 8, "0")
	s.expect(4101, "publish incomplete 0; wake 6000")
	s.expect(6000, "poll; publish 0; wake 7000")
}

// A list whose connections are lost again and again is complete in the end.
func TestScheduleManyMassLosses(t *testing.T) {
	s := crowd(t)
	id, now := 4, 2100
	for range maxRestarts {
		for range 4 {
			s.disconnect(id-4, s.at(now))
			s.connect(id)
			id++
		}
		s.next(s.at(now))
		now += 1900
		if s.next(s.at(now)); s.edition.complete {
			t.Fatalf("complete at %d ms", now)
		}
	}
	for n := range 4 {
		s.disconnect(id-4+n, s.at(now))
	}
	if s.next(s.at(now + 100)); !s.edition.complete {
		t.Error("not complete, 2 s after the last time that counts")
	}
}

// A client that stayed while most others left may leave and come back as usual.
func TestScheduleSurvivorOfAMassLoss(t *testing.T) {
	s := crowd(t)
	for id := range 3 {
		s.disconnect(id, s.at(2100))
	}
	s.expect(2100, "publish incomplete 3; wake 4100")
	s.expect(4100, "poll; publish 3; wake 5100")
	s.hear(4101, 3, "3")
	s.expect(4101, "wake 6101")
	s.disconnect(3, s.at(4200))
	s.expect(4200, "publish; wake 6101")
	s.connect(4)
	s.expect(4300, "ask 4; wake 6101")
	s.hear(4301, 4, "3")
	s.expect(4301, "publish 3; wake 6101")
}

// The list is complete again PollTime after a loss, however long the survey
// lasts that was under way.
func TestScheduleMassLossInALongSurvey(t *testing.T) {
	s := newScript(t, Options{SurveyTime: time.Minute})
	for id := range 4 {
		s.connect(id)
	}
	s.next(s.at(0))
	for id := range 4 {
		s.hear(1, id, fmt.Sprint(id))
	}
	s.next(s.at(1))
	s.expect(2000, "poll; publish 0 1 2 3; wake 62000")
	for id := range 3 {
		s.disconnect(id, s.at(2100))
	}
	s.expect(2100, "publish incomplete 3; wake 4100")
	s.expect(4100, "poll; publish 3; wake 64100")
}

// When most connections were lost, and the names come back one after the other,
// the list stays incomplete until none has come back for a while, but not
// without end.
func TestScheduleWaitsForReturns(t *testing.T) {
	s := crowd(t)
	for i := range 3 {
		s.disconnect(i, s.at(2100))
	}
	s.expect(2100, "publish incomplete 3; wake 4100")
	s.connect(5)
	s.expect(4050, "ask 5; wake 4100")
	s.hear(4060, 5, "1")
	s.expect(4060, "publish incomplete 1 3; wake 4100")
	s.expect(4100, "poll; wake 5100")
	s.hear(4101, 3, "3")
	s.hear(4101, 5, "1")
	s.expect(4101, "wake 5101") // 0 and 2 may be on their way
	s.connect(6)
	s.expect(5090, "ask 6; wake 5101")
	s.hear(5095, 6, "0")
	s.expect(5095, "publish incomplete 0 1 3; wake 5101")
	s.expect(5101, "wake 6101")
	s.expect(6101, "poll; publish 0 1 3; wake 7101")
}

func TestScheduleDoesNotWaitForReturnsWithoutEnd(t *testing.T) {
	s := throng(t, 40)
	for id := range 40 {
		s.disconnect(id, s.at(2100))
	}
	complete := 0
	for at, back := 2100, 0; at < 20000 && complete == 0; at += 50 {
		if at%500 == 0 && back < 38 {
			s.connect(100 + back)
			s.next(s.at(at))
			s.hear(at, 100+back, fmt.Sprint(back))
			back++
		}
		s.next(s.at(at))
		if s.edition.complete {
			complete = at
		}
	}
	if complete < 6000 || complete > 11000 {
		t.Errorf("complete at %d ms, want about 6 seconds after 2100 ms, since others come back", complete)
	}
}
