package membership

import (
	"slices"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/testclock"
)

func testJoins(interval time.Duration) joins[string] {
	return newJoins[string](Config{JoinInterval: interval, SurveyTime: 300 * ms}, testclock.New().At(0))
}

func TestJoinsAreAskedJoinIntervalApart(t *testing.T) {
	c := testclock.New()
	j := testJoins(20 * ms)
	c.Expect(t, "due without newcomers", j.dueAt(), -1)
	if isDue(j.dueAt(), c.At(0)) {
		t.Error("due without newcomers")
	}
	j.connect("a")
	if !isDue(j.dueAt(), c.At(0)) {
		t.Error("the first newcomer has to wait")
	}
	if got := j.ask(c.At(0)); !slices.Equal(got, []string{"a"}) {
		t.Errorf("asked %q, want a", got)
	}
	c.Expect(t, "due once all are asked", j.dueAt(), -1)
	j.connect("b")
	j.connect("c")
	c.Expect(t, "due for the next newcomers", j.dueAt(), 20)
	if isDue(j.dueAt(), c.At(19)) || !isDue(j.dueAt(), c.At(20)) {
		t.Error("the next newcomers are not due at 20 ms exactly")
	}
	if got := j.ask(c.At(23)); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("asked %q, want b and c", got)
	}
	j.connect("d")
	c.Expect(t, "due after a late survey", j.dueAt(), 43)
}

// With a negative interval, newcomers are surveyed in the next poll.
func TestJoinsWithoutInterval(t *testing.T) {
	c := testclock.New()
	j := testJoins(-1)
	j.connect("a")
	if isDue(j.dueAt(), c.At(1e6)) || j.areComingIn(c.At(0)) {
		t.Error("due or coming in, although newcomers cause no survey")
	}
	c.Expect(t, "due", j.dueAt(), -1)
	if got := j.askAll(c.At(2000)); !slices.Equal(got, []string{"a"}) {
		t.Errorf("the poll asked %q, want a", got)
	}
	if !j.areComingIn(c.At(2299)) || !first(j.hear("a")) {
		t.Error("the newcomer that the poll has asked is not waited for")
	}
}

// Only the first answer of a newcomer that was asked counts.
func TestJoinsFirstAnswer(t *testing.T) {
	c := testclock.New()
	j := testJoins(20 * ms)
	j.connect("a")
	j.connect("b")
	j.ask(c.At(0))
	if !first(j.hear("a")) || first(j.hear("a")) || first(j.hear("stranger")) {
		t.Error("the first answer of a is not its first, or a second one or one of a stranger is")
	}
	j.connect("c")
	j.ask(c.At(20))
	if !first(j.hear("c")) || !first(j.hear("b")) {
		t.Error("the late answer of b, or that of c, is not its first")
	}
}

func TestJoinsForgetWhatDisconnects(t *testing.T) {
	c := testclock.New()
	j := testJoins(20 * ms)
	j.connect("a")
	j.ask(c.At(0))
	j.disconnect("a")
	if first(j.hear("a")) || j.areComingIn(c.At(10)) {
		t.Error("a connection that was asked and has ended is still waited for")
	}
	j.connect("b")
	j.connect("c")
	j.disconnect("b")
	if got := j.ask(c.At(20)); !slices.Equal(got, []string{"c"}) {
		t.Errorf("asked %q, want only c, which is still there", got)
	}
	j.connect("d")
	if first(j.hear("d")) {
		t.Error("a newcomer that was not asked has answered")
	}
	j.disconnect("d")
	if !j.dueAt().IsZero() {
		t.Error("a survey is due for a connection that has ended")
	}
}

// A newcomer is coming in until it has answered or has had SurveyTime.
func TestJoinsComeIn(t *testing.T) {
	c := testclock.New()
	j := testJoins(20 * ms)
	for _, step := range []struct {
		at   int
		act  func()
		want bool
	}{
		{0, func() {}, false},
		{10, func() { j.connect("a") }, true},
		{10, func() { j.ask(c.At(10)) }, true},
		{309, func() {}, true},
		{310, func() {}, false},
		{400, func() { j.connect("b"); j.ask(c.At(400)) }, true},
		{450, func() { j.connect("c"); j.ask(c.At(450)) }, true},
		{500, func() { j.hear("c") }, true},
		{699, func() {}, true},
		{700, func() {}, false},
		{900, func() { j.connect("d"); j.ask(c.At(900)); j.connect("e"); j.ask(c.At(950)) }, true},
		{1249, func() { j.hear("d") }, true},
		{1250, func() {}, false},
	} {
		step.act()
		j.forget(c.At(step.at))
		if got := j.areComingIn(c.At(step.at)); got != step.want {
			t.Errorf("at %d ms: got %t, want %t", step.at, got, step.want)
		}
	}
	if len(j.recent) != 0 {
		t.Errorf("%d newcomers are still looked at, although none is waited for", len(j.recent))
	}
}

// first drops the time from the results of hear.
func first(_ time.Time, isNew bool) bool { return isNew }

// Connections that were surveyed are forgotten, also while a handshake seems to
// wait for this process.
func TestJoinsForgetWhileHandshakesWait(t *testing.T) {
	s := newScript(t, Config{})
	s.SetHandshakes(Handshakes{Waiting: true})
	for id := range 1000 {
		at := 100 * id
		s.Connect(id, "", s.At(at))
		s.Next(s.At(at))
		s.Disconnect(id, false, s.At(at+50))
		s.Next(s.At(at + 50))
	}
	if got := len(s.joins.recent); got > 1 {
		t.Errorf("remembers %d connections that have ended, want 1 at most", got)
	}
}
