package membership

import (
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/testclock"
)

func testPoll(c testclock.Clock) poll {
	return newPoll(Config{SurveyTime: 300 * ms, RecvDeadline: 100 * ms, PollTime: 2000 * ms}, c.At(0))
}

func TestPollBeginsAfterPollTime(t *testing.T) {
	c := testclock.New()
	p := testPoll(c)
	c.Expect(t, "the first poll", p.dueAt(), 2000)
	if isDue(p.dueAt(), c.At(1999)) || !isDue(p.dueAt(), c.At(2000)) {
		t.Error("the first poll is not due at 2000 ms exactly")
	}
	p.begin(c.At(2000))
	p.end(c.At(2050))
	c.Expect(t, "the second poll", p.dueAt(), 4050)
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
			c := testclock.New()
			p := testPoll(c)
			p.lastAnswer = c.At(1990) // to the previous poll
			p.begin(c.At(2000))
			if test.lastAnswer > 0 {
				p.lastAnswer = c.At(test.lastAnswer)
			}
			c.Expect(t, "its end", p.dueAt(), test.want)
			if isDue(p.dueAt(), c.At(test.want-1)) || !isDue(p.dueAt(), c.At(test.want)) {
				t.Errorf("not due at %d ms exactly", test.want)
			}
		})
	}
}

// A poll whose end is noticed late is extended, but only once.
func TestPollGivesGraceOnce(t *testing.T) {
	c := testclock.New()
	p := testPoll(c)
	p.begin(c.At(2000))
	if p.extend(c.At(2150)) {
		t.Error("extended although it is within latePollEnd")
	}
	c.Expect(t, "its end without grace", p.dueAt(), 2100)
	if !p.extend(c.At(2151)) {
		t.Error("not extended beyond latePollEnd")
	}
	c.Expect(t, "its end with grace", p.dueAt(), 2351)
	if p.extend(c.At(9000)) {
		t.Error("extended twice")
	}
	p.end(c.At(9000))
	p.begin(c.At(11000))
	c.Expect(t, "the end of the next poll", p.dueAt(), 11100)
	if !p.extend(c.At(11151)) {
		t.Error("the next poll is not extended")
	}
}

func TestPollGraceIsAtMostSurveyTime(t *testing.T) {
	c := testclock.New()
	p := newPoll(Config{SurveyTime: 80 * ms, RecvDeadline: 80 * ms, PollTime: 2000 * ms}, c.At(0))
	p.begin(c.At(2000))
	p.extend(c.At(3000))
	c.Expect(t, "its end with grace", p.dueAt(), 3080)
}
