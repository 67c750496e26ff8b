package membership

import "testing"

func testPoll(c clock) poll {
	return newPoll(Config{SurveyTime: 300 * ms, RecvDeadline: 100 * ms, PollTime: 2000 * ms}, c.at(0))
}

func TestPollBeginsAfterPollTime(t *testing.T) {
	c := newClock()
	p := testPoll(c)
	c.expectAt(t, "the first poll", p.dueAt(), 2000)
	if isDue(p.dueAt(), c.at(1999)) || !isDue(p.dueAt(), c.at(2000)) {
		t.Error("the first poll is not due at 2000 ms exactly")
	}
	p.begin(c.at(2000))
	p.end(c.at(2050))
	c.expectAt(t, "the second poll", p.dueAt(), 4050)
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
			c.expectAt(t, "its end", p.dueAt(), test.want)
			if isDue(p.dueAt(), c.at(test.want-1)) || !isDue(p.dueAt(), c.at(test.want)) {
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
	if p.extend(c.at(2150)) {
		t.Error("extended although it is within lateAfter")
	}
	c.expectAt(t, "its end without grace", p.dueAt(), 2100)
	if !p.extend(c.at(2151)) {
		t.Error("not extended beyond lateAfter")
	}
	c.expectAt(t, "its end with grace", p.dueAt(), 2351)
	if p.extend(c.at(9000)) {
		t.Error("extended twice")
	}
	p.end(c.at(9000))
	p.begin(c.at(11000))
	c.expectAt(t, "the end of the next poll", p.dueAt(), 11100)
	if !p.extend(c.at(11151)) {
		t.Error("the next poll is not extended")
	}
}

func TestPollGraceIsAtMostSurveyTime(t *testing.T) {
	c := newClock()
	p := newPoll(Config{SurveyTime: 80 * ms, RecvDeadline: 80 * ms, PollTime: 2000 * ms}, c.at(0))
	p.begin(c.at(2000))
	p.extend(c.at(3000))
	c.expectAt(t, "its end with grace", p.dueAt(), 3080)
}
