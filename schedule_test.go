package gopherdiscovery

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// script drives a schedule by hand, in milliseconds since its start.
type script struct {
	*schedule[int]
	log   changelog
	t     *testing.T
	start time.Time
}

func newScript(t *testing.T, opt Options) *script {
	t.Helper()
	opt, err := opt.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &script{schedule: newSchedule[int](opt, start), t: t, start: start}
}

func (s *script) at(millis int) time.Time { return s.start.Add(time.Duration(millis) * ms) }

func (s *script) hear(millis int, id int, name string) { s.schedule.hear(id, name, s.at(millis)) }

// expect calls next and compares what it wants done, as in "poll; ask 1 2; publish a b; wake 2000".
func (s *script) expect(millis int, want string) {
	s.t.Helper()
	do, wake := s.next(s.at(millis))
	var parts []string
	if do.poll {
		parts = append(parts, "poll")
	}
	if len(do.survey) > 0 {
		parts = append(parts, "ask "+strings.Trim(fmt.Sprint(do.survey), "[]"))
	}
	if do.doubted {
		parts = append(parts, "doubted")
	}
	if do.missed > 0 {
		parts = append(parts, fmt.Sprintf("missed %d", do.missed))
	}
	if do.publish && s.log.publish(s.sorted(), s.edition.complete) {
		what := "publish "
		if !s.edition.complete {
			what = "publish incomplete "
		}
		parts = append(parts, strings.TrimSpace(what+strings.Join(s.log.list, " ")))
	}
	parts = append(parts, fmt.Sprintf("wake %d", wake.Sub(s.start)/ms))
	if got := strings.Join(parts, "; "); got != want {
		s.t.Errorf("at %d ms: got %q, want %q", millis, got, want)
	}
}

func TestScheduleOfPollsWithoutClients(t *testing.T) {
	s := newScript(t, Options{})
	s.expect(0, "wake 2000")
	s.expect(1999, "wake 2000")
	s.expect(2000, "poll; publish; wake 4000")
	s.expect(4001, "poll; wake 6001")
}

func TestSchedulePollEndsWhenAllHaveAnswered(t *testing.T) {
	s := newScript(t, Options{})
	s.connect(1)
	s.connect(2)
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

func TestScheduleDeadlines(t *testing.T) {
	s := newScript(t, Options{SurveyTime: 300 * ms, RecvDeadline: 100 * ms, MissedSurveys: 1})
	s.connect(1)
	s.connect(2)
	s.expect(0, "ask 1 2; wake 2000")
	s.hear(0, 1, "a")
	s.hear(0, 2, "b")
	s.hear(0, 2, "c")
	s.expect(2000, "poll; publish a b c; wake 2100")
	s.hear(2090, 1, "a")
	s.expect(2090, "wake 2190") // the silence counts anew
	s.hear(2180, 2, "c")
	s.expect(2180, "wake 2280")
	s.hear(2270, 2, "c")
	s.expect(2270, "wake 2300") // but not beyond SurveyTime
	s.expect(2300, "missed 1; publish a c; wake 4300")
}

func TestScheduleFirstList(t *testing.T) {
	for _, test := range []struct {
		name  string
		opt   Options
		drive func(*script)
	}{
		{"waits for those asked by the first poll", Options{JoinInterval: -1}, func(s *script) {
			s.connect(1)
			s.connect(2)
			s.expect(0, "wake 2000")
			s.expect(2000, "poll; wake 3000")
			s.hear(2001, 1, "a")
			s.expect(2001, "wake 2006")
			s.hear(2900, 2, "b")
			s.expect(2900, "publish a b; wake 4900")
		}},
		{"waits for the slow until their survey's end", Options{}, func(s *script) {
			s.connect(1)
			s.expect(0, "ask 1; wake 2000")
			s.hear(1, 1, "a")
			s.connect(2)
			s.expect(1500, "ask 2; publish incomplete a; wake 2000")
			s.expect(2000, "poll; wake 2500")
			s.expect(2500, "publish a; wake 3000")
		}},
		{"does not wait for those who have had a survey's time", Options{}, func(s *script) {
			s.connect(1)
			s.connect(2)
			s.expect(0, "ask 1 2; wake 2000")
			s.hear(1, 1, "a")
			s.expect(2000, "poll; publish a; wake 3000")
		}},
	} {
		t.Run(test.name, func(t *testing.T) { test.drive(newScript(t, test.opt)) })
	}
}

// running returns a schedule whose first list, with one name, has been published at 2000.
func running(t *testing.T, opt Options) *script {
	s := newScript(t, opt)
	s.connect(1)
	s.expect(0, "ask 1; wake 2000")
	s.hear(0, 1, "a")
	s.expect(2000, "poll; publish a; wake 3000")
	s.hear(2000, 1, "a")
	s.expect(2000, "wake 4000")
	return s
}

func TestScheduleJoins(t *testing.T) {
	s := running(t, Options{})
	s.connect(2)
	s.expect(2100, "ask 2; wake 4000")
	s.hear(2103, 2, "b")
	s.expect(2103, "publish a b; wake 4000") // a lone join does not wait
	s.connect(3)
	s.expect(2105, "wake 2120") // the survey is JoinInterval after the last
	s.connect(4)
	s.expect(2110, "wake 2120")
	s.expect(2120, "ask 3 4; wake 4000")
	s.hear(2122, 3, "c")
	s.expect(2122, "wake 2127") // the list waits for 4, but not long
	s.expect(2127, "publish a b c; wake 4000")
	s.hear(2130, 4, "d")
	s.expect(2130, "publish a b c d; wake 4000")
}

// Names that come one after the other on a connection that is known, as from a device, are not a
// list each.
func TestScheduleFurtherNames(t *testing.T) {
	s := running(t, Options{})
	s.connect(2)
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

func TestScheduleLeavesDoNotWait(t *testing.T) {
	s := running(t, Options{})
	s.connect(2)
	s.connect(3)
	s.connect(4)
	s.expect(2100, "ask 2 3 4; wake 4000")
	s.hear(2101, 2, "b")
	s.expect(2101, "wake 2106")
	s.disconnect(1, s.at(2102))
	s.expect(2102, "publish b; wake 4000")
}

func TestScheduleChangeThatUndoesItself(t *testing.T) {
	s := running(t, Options{})
	s.connect(2)
	s.expect(2100, "ask 2; wake 4000")
	s.hear(2101, 2, "b")
	s.disconnect(2, s.at(2101))
	s.expect(2101, "wake 4000")
}

func TestScheduleForgetsNewcomersThatLeave(t *testing.T) {
	s := running(t, Options{})
	s.connect(2)
	s.expect(2100, "ask 2; wake 4000")
	s.connect(3)
	s.expect(2105, "wake 2120")
	s.disconnect(3, s.at(2106))
	s.expect(2106, "wake 4000")
	s.disconnect(2, s.at(2106))
	s.expect(2120, "wake 4000")
	if j := s.joins; len(j.asked)+len(j.batch)+len(j.newcomers) != 0 {
		t.Errorf("still remembered: asked %v, batch %v, newcomers %v", j.asked, j.batch, j.newcomers)
	}
}

func TestSchedulePublishedListsAreNotTouched(t *testing.T) {
	s := running(t, Options{})
	list := s.log.list
	s.connect(2)
	s.expect(2100, "ask 2; wake 4000")
	s.hear(2100, 2, "A")
	s.expect(2100, "publish A a; wake 4000")
	if !slices.Equal(list, []string{"a"}) {
		t.Errorf("the list that was published before is now %q", list)
	}
}

// A server that was stopped asks everyone before it says anything: what it knew may be wrong.
func TestScheduleAfterAHalt(t *testing.T) {
	s := running(t, Options{})
	s.connect(2)
	s.expect(2100, "ask 2; wake 4000")
	s.hear(2100, 2, "b")
	s.expect(2100, "publish a b; wake 4000")
	s.expect(34000, "poll; publish incomplete a b; wake 35000")
	if s.edition.complete {
		t.Error("open before everyone was asked")
	}
	s.disconnect(2, s.at(34001))
	s.expect(34001, "publish incomplete a; wake 35000")
	s.hear(34002, 1, "a")
	s.expect(34002, "publish a; wake 36002")
	if !s.edition.complete {
		t.Error("not open although everyone has answered")
	}
}

// crowd has four names that have answered the poll before.
func crowd(t *testing.T) *script {
	s := newScript(t, Options{})
	for id := range 4 {
		s.connect(id)
	}
	s.expect(0, "ask 0 1 2 3; wake 2000")
	for id := range 4 {
		s.hear(1, id, fmt.Sprint(id))
	}
	s.expect(2000, "poll; publish 0 1 2 3; wake 3000")
	for id := range 4 {
		s.hear(2000, id, fmt.Sprint(id))
	}
	s.expect(2000, "wake 4000")
	return s
}

// When most fall silent at once the server doubts itself MissedSurveys times, and only then counts.
func TestScheduleDoubtsItself(t *testing.T) {
	s := crowd(t)
	s.expect(4000, "poll; wake 5000")
	s.hear(4001, 0, "0")
	s.expect(5000, "doubted; wake 5000")
	s.expect(5000, "poll; wake 6000")
	s.expect(6000, "doubted; wake 6000")
	s.expect(6000, "poll; wake 7000")
	s.hear(6001, 0, "0")
	s.expect(7000, "missed 3; wake 9000")
	s.expect(8000, "wake 9000")
	s.expect(9000, "poll; wake 10000")
	s.hear(9001, 0, "0")
	s.expect(10000, "missed 3; publish 0; wake 12000")
	s.expect(12000, "poll; wake 13000")
	s.hear(12001, 0, "0")
	s.expect(13000, "wake 15000") // the silent connections stand
	if s.poll.doubts != 0 {
		t.Errorf("got %d doubts after a poll that all have answered", s.poll.doubts)
	}
}

// A doubted survey that all answer the next time leaves no trace.
func TestScheduleForgetsDoubts(t *testing.T) {
	s := crowd(t)
	s.expect(4000, "poll; wake 5000")
	s.expect(5000, "doubted; wake 5000")
	s.expect(5000, "poll; wake 6000")
	for id := range 4 {
		s.hear(5001, id, fmt.Sprint(id))
	}
	s.expect(5001, "wake 7001")
	if s.poll.doubts != 0 {
		t.Errorf("got %d doubts after a poll that all have answered", s.poll.doubts)
	}
}

// Two of four are not most, and of two there are no three.
func TestScheduleDoesNotDoubtAFew(t *testing.T) {
	s := crowd(t)
	s.expect(4000, "poll; wake 5000")
	s.hear(4001, 0, "0")
	s.hear(4001, 1, "1")
	s.expect(5000, "missed 2; wake 7000")
	s = running(t, Options{})
	s.expect(4000, "poll; wake 5000")
	s.expect(5000, "missed 1; wake 7000")
}

// A server that notices a poll's end late was perhaps stopped: it reads what has come in before it
// counts.
func TestScheduleLatePollEnd(t *testing.T) {
	s := running(t, Options{MissedSurveys: 1})
	s.expect(4000, "poll; wake 5000")
	s.expect(5051, "wake 5251")
	s.hear(5100, 1, "a")
	s.expect(5100, "wake 7100")
	s.expect(6000, "wake 7100")
	s.expect(7100, "poll; wake 8100")
	s.expect(8000, "wake 8100")
	s.expect(8151, "wake 8351")
	s.expect(8351, "missed 1; publish; wake 10351")
}
