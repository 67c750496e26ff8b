package membership

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// short is a configuration with which the list is complete as the first poll
// begins.
var short = Config{ReturnTime: 2 * time.Second}

func TestPollsWithoutClients(t *testing.T) {
	s := newScript(t, short)
	s.expect(0, "wake 2000")
	s.expect(1999, "wake 2000")
	s.expect(2000, "poll; publish; wake 4000")
	s.expect(4001, "poll; wake 6001")
}

func TestPollEndsWhenAllHaveAnswered(t *testing.T) {
	s := newScript(t, short)
	s.connect(0, 1, 2)
	s.expect(0, "ask 1 2; wake 2000")
	s.hear(1, 1, "a")
	s.hear(1, 2, "b")
	s.expect(1, "publish incomplete a b; wake 2000")
	s.expect(2000, "poll; publish a b; wake 3000")
	s.hear(2003, 1, "a")
	s.expect(2003, "wake 3000")
	s.hear(2007, 2, "b")
	s.expect(2007, "wake 4007")
	s.expect(4000, "wake 4007")
}

// The poll waits for each name of a device, and for no connection that comes
// after its beginning.
func TestPollWaitsForAllNames(t *testing.T) {
	s := running(t)
	s.hear(2001, 1, "b")
	s.expect(2001, "wake 2005")
	s.expect(2005, "publish a b; wake 4000")
	s.expect(4000, "poll; wake 5000")
	s.connect(4010, 2)
	s.expect(4010, "ask 2; wake 5000")
	s.hear(4020, 1, "a")
	s.expect(4020, "wake 5000")
	s.hear(4030, 1, "b")
	s.expect(4030, "wake 6030")
}

func TestPollDeadlines(t *testing.T) {
	s := newScript(t, Config{SurveyTime: 300 * ms, RecvDeadline: 100 * ms, MissedSurveys: 1, ReturnTime: 2 * time.Second})
	s.connect(0, 1, 2)
	s.expect(0, "ask 1 2; wake 2000")
	s.hear(0, 1, "a")
	s.hear(0, 2, "b")
	s.hear(0, 2, "c")
	s.expect(2000, "poll; publish a b c; wake 2100")
	s.hear(2090, 1, "a")
	s.expect(2090, "wake 2190") // the silence starts again
	s.hear(2180, 2, "c")
	s.expect(2180, "wake 2280")
	s.hear(2270, 2, "c")
	s.expect(2270, "wake 2300") // but not beyond SurveyTime
	s.expect(2300, "missed 1; publish a c; wake 4300")
}

// running returns a schedule whose first complete list, with one name, was
// published at 2000.
func running(t *testing.T) *script {
	s := newScript(t, short)
	s.connect(0, 1)
	s.expect(0, "ask 1; wake 2000")
	s.hear(0, 1, "a")
	s.expect(2000, "poll; publish a; wake 3000")
	s.hear(2000, 1, "a")
	s.expect(2000, "wake 4000")
	return s
}

func TestJoins(t *testing.T) {
	s := running(t)
	s.connect(2100, 2)
	s.expect(2100, "ask 2; wake 4000")
	s.hear(2103, 2, "b")
	s.expect(2103, "publish a b; wake 4000") // a lone join does not wait
	s.connect(2105, 3)
	s.expect(2105, "wake 2120") // the survey is JoinInterval after the last
	s.connect(2110, 4)
	s.expect(2110, "wake 2120")
	s.expect(2120, "ask 3 4; wake 4000")
	s.hear(2122, 3, "c")
	s.expect(2122, "wake 2127") // the list waits for 4, but not long
	s.expect(2127, "publish a b c; wake 4000")
	s.hear(2130, 4, "d")
	s.expect(2130, "wake 2132")
	s.expect(2132, "publish a b c d; wake 4000")
}

// With a negative JoinInterval, the first list has those asked in the first
// poll, one after the other.
func TestJoinsInPolls(t *testing.T) {
	s := newScript(t, Config{JoinInterval: -1, ReturnTime: 2 * time.Second})
	s.connect(0, 1, 2)
	s.expect(0, "wake 2000")
	s.expect(2000, "poll; wake 2020") // they are coming in
	s.hear(2001, 1, "a")
	s.expect(2001, "wake 2006")
	s.expect(2006, "publish incomplete a; wake 2026")
	s.hear(2900, 2, "b")
	s.expect(2900, "publish a b; wake 4000")
}

// Names that follow each other on a known connection, as from a device, do not
// cause one list each.
func TestFurtherNames(t *testing.T) {
	s := running(t)
	s.connect(2100, 2)
	s.expect(2100, "ask 2; wake 4000")
	s.hear(2101, 2, "b")
	s.expect(2101, "publish a b; wake 4000")
	s.hear(2102, 2, "c")
	s.expect(2102, "wake 2106")
	s.hear(2103, 2, "d")
	s.expect(2103, "wake 2106")
	s.expect(2106, "publish a b c d; wake 4000")
	s.hear(2300, 2, "e")
	s.expect(2300, "publish a b c d e; wake 4000")
}

// A leave waits neither for newcomers nor for the next poll.
func TestLeavesDoNotWait(t *testing.T) {
	s := running(t)
	s.connect(2100, 2, 3, 4)
	s.expect(2100, "ask 2 3 4; wake 4000")
	s.hear(2101, 2, "b")
	s.expect(2101, "wake 2106")
	s.Leave(1, "a", s.At(2102))
	s.expect(2102, "publish b; wake 4000")
}

// A name leaves the list when no connection announces it any more.
func TestLeavesOfOneConnection(t *testing.T) {
	s := running(t)
	s.connect(2100, 2)
	s.expect(2100, "ask 2; wake 4000")
	s.hear(2101, 2, "a")
	s.expect(2101, "wake 4000")
	s.Leave(1, "a", s.At(2102))
	s.Leave(1, "unknown", s.At(2102))
	s.Leave(7, "a", s.At(2102))
	s.expect(2102, "wake 4000")
	s.Leave(2, "a", s.At(2103))
	s.expect(2103, "publish; wake 4000")
}

func TestChangeThatUndoesItself(t *testing.T) {
	s := running(t)
	s.connect(2100, 2)
	s.expect(2100, "ask 2; wake 4000")
	s.hear(2101, 2, "b")
	s.Leave(2, "b", s.At(2101))
	s.expect(2101, "wake 4000")
}

func TestNewcomersThatLeaveAreForgotten(t *testing.T) {
	s := running(t)
	s.connect(2100, 2)
	s.expect(2100, "ask 2; wake 4000")
	s.connect(2105, 3)
	s.expect(2105, "wake 2120")
	s.end(2106, 3)
	s.expect(2106, "wake 4000")
	s.end(2106, 2)
	s.expect(2120, "wake 4000")
	if j := s.joins; len(j.asked)+len(j.newcomers) != 0 {
		t.Errorf("still remembered: asked %v, newcomers %v", j.asked, j.newcomers)
	}
}

func TestPublishedListsAreNotTouched(t *testing.T) {
	s := running(t)
	list := s.list
	s.connect(2100, 2)
	s.expect(2100, "ask 2; wake 4000")
	s.hear(2100, 2, "A")
	s.expect(2100, "publish A a; wake 4000")
	if !slices.Equal(list, []string{"a"}) {
		t.Errorf("the list that was published before is now %q", list)
	}
}

// A server that notices the end of a poll late may have been stopped, so it
// reads what has come in before it counts.
func TestLatePollEnd(t *testing.T) {
	s := newScript(t, Config{})
	s.connect(0, 1)
	s.expect(0, "ask 1; wake 2000")
	s.hear(0, 1, "a")
	s.expect(0, "publish incomplete a; wake 2000")
	s.expect(2000, "poll; wake 3000")
	s.expect(3051, "wake 3251")
	s.hear(3100, 1, "a")
	s.expect(3100, "wake 5000")
	s.expect(5100, "poll; publish a; wake 6100")
	s.expect(6151, "wake 6351")
	s.expect(6351, "missed 1; wake 8351")
}

// However long the surveys and the pauses between them are, and however many
// may be missed, a name is not dropped before it has missed them.
func TestLongSurveysAreCounted(t *testing.T) {
	for _, config := range []Config{
		{MissedSurveys: 100},
		{MissedSurveys: 3, PollTime: 5 * time.Minute},
		{SurveyTime: 3 * time.Minute},
	} {
		t.Run(fmt.Sprint(config), func(t *testing.T) {
			s := newScript(t, config)
			s.connect(0, 1)
			s.Next(s.At(0))
			s.hear(0, 1, "a")
			missed := 0
			for now := s.At(0); s.roster.names["a"] != nil; {
				var do Actions[int]
				do, now = s.Next(now)
				missed += do.Missed
			}
			if missed != s.limit {
				t.Errorf("dropped after %d surveys, want %d", missed, s.limit)
			}
		})
	}
}

// A client that has answered late through no fault of its own, or once after a
// very long time, is dropped as soon as others when it hangs.
func TestLateFirstAnswersAreForgotten(t *testing.T) {
	for _, test := range []struct {
		name    string
		answer  int // when the first came; the client is asked at 0
		stopped bool
		want    time.Duration
	}{
		{"the server was stopped", 20000, true, 250 * ms},
		{"a device had no clients behind it", 24 * 3600 * 1000, false, maxSilence},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t, Config{})
			s.connect(0, 1)
			s.expect(0, "ask 1; wake 2000")
			if test.stopped {
				s.Woke(s.At(test.answer))
			}
			s.hear(test.answer, 1, "a")
			if got := s.roster.conns[1].names["a"].slowest; got != test.want {
				t.Errorf("the server takes its slowest answer for one of %v, want %v", got, test.want)
			}
		})
	}
}
