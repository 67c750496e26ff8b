package gopherdiscovery

import (
	"testing"
)

func testPoll(c clock) poll {
	return newPoll(Options{SurveyTime: 300 * ms, RecvDeadline: 100 * ms, PollTime: 2000 * ms, MissedSurveys: 2}, c.at(0))
}

func TestPollBeginsAfterPollTime(t *testing.T) {
	c := newClock()
	p := testPoll(c)
	c.expectAt(t, "the first poll", p.deadline(), 2000)
	if p.due(c.at(1999)) || !p.due(c.at(2000)) {
		t.Error("the first poll is not due at 2000 ms exactly")
	}
	p.begin(c.at(2000))
	if p.end(c.at(2050), 0, 5) {
		t.Error("a poll that all have answered is doubted")
	}
	c.expectAt(t, "the second poll", p.deadline(), 4050)
}

func TestPollEndsWithinSurveyTimeAndRecvDeadline(t *testing.T) {
	for _, test := range []struct {
		name       string
		lastAnswer int // 0 for none
		want       int
	}{
		{"no answer", 0, 2100},
		{"an answer", 2090, 2190},
		{"an answer as late as SurveyTime allows", 2200, 2300},
		{"an answer near the end", 2290, 2300},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClock()
			p := testPoll(c)
			p.lastAnswer = c.at(1990) // to the previous poll
			p.begin(c.at(2000))
			if test.lastAnswer > 0 {
				p.lastAnswer = c.at(test.lastAnswer)
			}
			c.expectAt(t, "deadline", p.deadline(), test.want)
			if p.due(c.at(test.want-1)) || !p.due(c.at(test.want)) {
				t.Errorf("not due at %d ms exactly", test.want)
			}
		})
	}
}

// A poll whose end is noticed late is extended, but only once.
func TestPollGivesGraceOnce(t *testing.T) {
	c := newClock()
	p := testPoll(c)
	p.begin(c.at(2000))
	if p.tooLate(c.at(2150)) {
		t.Error("too late although it is within lateAfter")
	}
	c.expectAt(t, "deadline without grace", p.deadline(), 2100)
	if !p.tooLate(c.at(2151)) {
		t.Error("not too late beyond lateAfter")
	}
	c.expectAt(t, "deadline with grace", p.deadline(), 2351)
	if p.tooLate(c.at(9000)) {
		t.Error("grace was given twice")
	}
	p.end(c.at(9000), 1, 1)
	p.begin(c.at(11000))
	c.expectAt(t, "deadline of the next poll", p.deadline(), 11100)
	if !p.tooLate(c.at(11151)) {
		t.Error("the next poll is given no grace")
	}
}

func TestPollGraceIsAtMostSurveyTime(t *testing.T) {
	c := newClock()
	p := newPoll(Options{SurveyTime: 80 * ms, RecvDeadline: 80 * ms, PollTime: 2000 * ms, MissedSurveys: 2}, c.at(0))
	p.begin(c.at(2000))
	p.tooLate(c.at(3000))
	c.expectAt(t, "deadline with grace", p.deadline(), 3080)
}

func TestPollIsDoubted(t *testing.T) {
	for _, test := range []struct {
		name          string
		silent, known int
		want          bool
	}{
		{"no name is known", 0, 0, false},
		{"all have answered", 0, 4, false},
		{"all of fewer than minToDoubt", minToDoubt - 1, minToDoubt - 1, false},
		{"all of minToDoubt", minToDoubt, minToDoubt, true},
		{"one in doubtShare", 4, 4 * doubtShare, false},
		{"more than one in doubtShare", 4, 4*doubtShare - 1, true},
		{"fewer of many", 142, 1000, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClock()
			p := testPoll(c)
			p.begin(c.at(2000))
			if got := p.end(c.at(2100), test.silent, test.known); got != test.want {
				t.Errorf("%d of %d silent: got doubted %t, want %t", test.silent, test.known, got, test.want)
			}
			next := 4100
			if test.want {
				next = 2100 // at once
			}
			c.expectAt(t, "the next poll", p.deadline(), next)
			p.begin(c.at(next))
			p.end(c.at(next), test.silent, test.known)
			c.expectAt(t, "the poll after the next", p.deadline(), next+2000)
		})
	}
}

func TestPollRestarts(t *testing.T) {
	c := newClock()
	p := testPoll(c)
	p.restart(c.at(500))
	c.expectAt(t, "the poll after a restart between polls", p.deadline(), 2500)
	p.begin(c.at(2500))
	p.restart(c.at(2550))
	c.expectAt(t, "the end of the poll that was running", p.deadline(), 2600)
	p.end(c.at(2600), 0, 0)
	c.expectAt(t, "the poll after a restart within one", p.deadline(), 4550)
	p.begin(c.at(4550))
	p.abandon()
	p.restart(c.at(4560))
	c.expectAt(t, "the poll after one that was abandoned", p.deadline(), 6560)
}
