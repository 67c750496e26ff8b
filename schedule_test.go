package gopherdiscovery

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// script drives a schedule by hand. Times are in milliseconds since its start.
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

// expect calls next and compares what is to be done, as in "poll; ask 1 2;
// publish a b; wake 2000".
func (s *script) expect(millis int, want string) {
	s.t.Helper()
	do, _ := s.next(s.at(millis))
	wake := s.wake()
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
	s.expect(2090, "wake 2190") // the silence starts again
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
			s.expect(2006, "publish incomplete a; wake 3000")
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

// running returns a schedule whose first list, with one name, was published at
// 2000.
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

// Names that follow each other on a known connection, as from a device, do not
// cause one list each.
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

// A leave waits neither for newcomers nor for the next poll.
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

// A server that was stopped starts over: what it knew may be wrong, and clients
// that come back are on their way.
func TestScheduleAfterAHalt(t *testing.T) {
	for _, test := range []struct {
		name    string
		polling bool
	}{{"between polls", false}, {"within a poll", true}} {
		t.Run(test.name, func(t *testing.T) {
			s := running(t, Options{})
			s.connect(2)
			s.expect(2100, "ask 2; wake 4000")
			s.hear(2100, 2, "b")
			s.expect(2100, "publish a b; wake 4000")
			if test.polling {
				s.expect(4000, "poll; wake 5000")
			}
			s.woke(s.at(4000), s.at(34000))
			s.expect(34000, "publish incomplete a b; wake 36000")
			s.hear(34001, 1, "a")
			s.disconnect(2, s.at(34001))
			s.expect(34001, "publish incomplete a; wake 36000")
			s.connect(3)
			s.expect(34002, "ask 3; wake 36000")
			s.hear(34003, 3, "b")
			s.expect(34003, "publish incomplete a b; wake 36000")
			s.expect(36000, "poll; publish a b; wake 37000")
		})
	}
}

// A server that was stopped while it was incomplete is still incomplete,
// because the clients in its backlog have not been surveyed.
func TestScheduleAfterAHaltAtTheStart(t *testing.T) {
	s := newScript(t, Options{})
	s.expect(0, "wake 2000")
	s.woke(s.at(0), s.at(9000))
	s.expect(9000, "wake 11000")
	s.connect(1)
	s.expect(9001, "ask 1; wake 11000")
	s.hear(9002, 1, "a")
	s.expect(9002, "publish incomplete a; wake 11000")
	s.expect(11000, "poll; publish a; wake 12000")
}

// A server may be stopped as soon as its addresses are bound, before its loop
// runs for the first time.
func TestScheduleAfterAHaltBeforeItsFirstRun(t *testing.T) {
	s := newScript(t, Options{})
	s.woke(s.at(3000), s.at(3000))
	s.expect(3000, "wake 5000")
	s.connect(1)
	s.expect(3001, "ask 1; wake 5000")
	s.hear(3002, 1, "a")
	s.expect(3002, "publish incomplete a; wake 5000")
	s.expect(5000, "poll; publish a; wake 6000")
}

// A server that is always late is complete in the end.
func TestScheduleAfterManyHalts(t *testing.T) {
	s := newScript(t, Options{})
	s.connect(1)
	s.expect(0, "ask 1; wake 2000")
	s.hear(1, 1, "a")
	s.expect(1, "publish incomplete a; wake 2000")
	now := 2000
	for range maxRestarts {
		s.woke(s.at(now), s.at(now+600))
		now += 600
		s.expect(now, fmt.Sprintf("wake %d", now+2000))
		now += 2000
	}
	s.woke(s.at(now), s.at(now+600))
	s.expect(now+600, fmt.Sprintf("poll; publish a; wake %d", now+1600))
}

// A wait that ends late shows that the process was stopped, for a while or only
// for a moment.
func TestScheduleTellsHalts(t *testing.T) {
	for _, test := range []struct {
		name       string
		from, till int
		halt, wait bool
	}{
		{"in time", 2000, 2250, false, false},
		{"a little late", 2000, 2300, false, false},
		{"a moment late", 2000, 2301, false, true},
		{"after much work", 2280, 2320, false, false},
		{"nearly a halt", 2000, 2750, false, true},
		{"halt", 2000, 2751, true, true},
		{"halt within work", 2750, 2751, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			// At 2000, it wants to be called within 250 ms.
			s := running(t, Options{})
			s.woke(s.at(test.from), s.at(test.till))
			if s.edition.complete == test.halt {
				t.Errorf("got halt %t, want %t", !s.edition.complete, test.halt)
			}
			if got := s.restarts.greetAt.Equal(s.at(test.till + 200)); got != test.wait {
				t.Errorf("newcomers wait: got %t, want %t", got, test.wait)
			}
		})
	}
}

// crowd returns a schedule with four names that have answered the previous
// poll.
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

// When many clients fall silent at once, none of them is dropped, but that has
// a limit.
func TestScheduleDoubtsItself(t *testing.T) {
	s := crowd(t)
	s.expect(4000, "poll; wake 5000")
	s.hear(4001, 0, "0")
	s.expect(5000, "doubted; wake 5000")
	s.expect(5000, "poll; wake 6000")
	s.hear(5001, 0, "0")
	s.expect(6000, "doubted; wake 8000")
	for at := 8000; at < 119000; at += 3000 {
		s.expect(at, fmt.Sprintf("poll; wake %d", at+1000))
		s.hear(at, 0, "0")
		s.expect(at+1000, fmt.Sprintf("doubted; wake %d", at+3000))
	}
	s.expect(119000, "poll; wake 120000")
	s.hear(119001, 0, "0")
	s.expect(120000, "doubted; wake 122000") // 116 s
	s.expect(122000, "poll; wake 123000")
	s.hear(122001, 0, "0")
	s.expect(123000, "doubted; wake 125000") // 119 s
	s.expect(125000, "poll; wake 126000")
	s.hear(125001, 0, "0")
	s.expect(126000, "doubted; publish 0; wake 128000") // 122 s
}

// No one is considered to have missed a doubted poll, and it leaves no trace.
func TestScheduleForgetsDoubts(t *testing.T) {
	s := crowd(t)
	s.expect(4000, "poll; wake 5000")
	s.expect(5000, "doubted; wake 5000")
	s.expect(5000, "poll; wake 6000")
	for id := range 4 {
		s.hear(5001, id, fmt.Sprint(id))
	}
	s.expect(5001, "wake 7001")
	s.expect(7001, "poll; wake 8001")
	for id := range 3 {
		s.hear(7002, id, fmt.Sprint(id))
	}
	s.expect(8001, "missed 1; wake 10001")
}

// While many clients known to be slow are silent, the server is also patient
// with the fast ones.
func TestScheduleIsPatientAmongTheSlow(t *testing.T) {
	s := crowd(t)
	for _, m := range s.conns {
		for name, p := range m.names {
			if name != "3" {
				p.took(time.Minute)
			}
		}
	}
	for at := 4000; at < 4000+int(maxSilence/2/ms); at += 100 {
		s.hear(at, 0, "0")
		if do, _ := s.next(s.at(at)); do.doubted {
			t.Errorf("doubted at %d ms", at)
		}
		if s.names["3"] == nil {
			t.Fatalf("dropped at %d ms", at)
		}
	}
}

// Two silent clients of four are too few.
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

// A name that has answered slowly before is given longer, up to 30 s.
func TestSchedulePatience(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer int // how long it took, in milliseconds
		want   int // when it is dropped, after its first unanswered survey
	}{
		{"fast", 1, 4000},
		{"a little slow", 62, 4000},
		{"slow", 100, 7000},
		{"slower than a survey lasts", 1100, 31000},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t, Options{})
			s.connect(1)
			s.expect(0, "ask 1; wake 2000")
			s.hear(1, 1, "a")
			s.next(s.at(2000))
			s.hear(2000+test.answer, 1, "a")
			dropped := 0
			for at := 2000 + test.answer; dropped == 0 && at < 60000; at++ {
				s.next(s.at(at))
				if len(s.names) == 0 {
					dropped = at
				}
			}
			asked := s.poll.pollTime + s.poll.surveyTime
			if got := dropped - 2000 - test.answer; got < test.want-1000 || got > test.want+3000 {
				t.Errorf("dropped %d ms after its last answer, with surveys %v apart, want about %d", got, asked, test.want)
			}
		})
	}
}

// When most connections end at once, the list is incomplete for PollTime, and
// again when the clients come back.
func TestScheduleMassLoss(t *testing.T) {
	s := crowd(t)
	s.disconnect(0, s.at(2100))
	s.expect(2100, "publish 1 2 3; wake 4000")
	s.disconnect(1, s.at(2101))
	s.disconnect(2, s.at(2102))
	s.expect(2102, "publish incomplete 3; wake 4102")
	s.expect(2107, "wake 4102")
	s.connect(5)
	s.expect(2108, "ask 5; wake 4102")
	s.hear(2109, 5, "1")
	s.expect(2109, "publish incomplete 1 3; wake 4102")
	s.hear(2109, 3, "3")
	s.expect(4102, "poll; publish 1 3; wake 5102")
	s.connect(6)
	s.expect(4200, "ask 6; wake 5102")
	s.hear(4201, 6, "new")
	// A newcomer does not make the list incomplete.
	s.expect(4201, "publish 1 3 new; wake 5102")
	s.connect(7)
	s.expect(4300, "ask 7; wake 5102")
	s.hear(4301, 7, "0")
	s.expect(4301, "publish incomplete 0 1 3 new; wake 5102")
	s.expect(5102, "missed 2; wake 6301")
	s.expect(6301, "poll; publish 0 1 3 new; wake 7301")
	// Most clients are back, so one that comes now is a newcomer again.
	s.connect(8)
	s.expect(6400, "ask 8; wake 7301")
	s.hear(6401, 8, "2")
	s.expect(6401, "publish 0 1 2 3 new; wake 7301")
}

// A subscriber that comes back after a mass loss makes the list incomplete too,
// since it may be back before the clients are.
func TestScheduleSubscriberAfterAMassLoss(t *testing.T) {
	s := crowd(t)
	s.resubscribe(s.at(2050))
	s.expect(2050, "wake 4000")
	for id := range 4 {
		s.disconnect(id, s.at(2100))
	}
	s.expect(2100, "publish incomplete; wake 4100")
	s.expect(2105, "wake 4100")
	s.expect(4100, "poll; publish; wake 6100")
	s.resubscribe(s.at(5000))
	s.expect(5000, "publish incomplete; wake 7000")
	s.expect(7000, "poll; publish; wake 9000")
	s.resubscribe(s.at(2100 + 601000))
	s.expect(2100+601000, "poll; wake 605100")
}

// Connections that end while the server doubts its network are not believed to
// have left either.
func TestScheduleEndsWhileDoubted(t *testing.T) {
	s := crowd(t)
	s.expect(4000, "poll; wake 5000")
	s.expect(5000, "doubted; wake 5000")
	s.disconnect(0, s.at(5001))
	s.expect(5001, "publish incomplete 1 2 3; wake 7001")
}

// A server that notices the end of a poll late may have been stopped, so it
// reads what has come in before it counts.
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
	s.expect(8351, "missed 1; wake 10351")
}
