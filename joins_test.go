package gopherdiscovery

import (
	"slices"
	"testing"
	"time"
)

func testJoins(interval time.Duration) joins[string] {
	return newJoins[string](Options{JoinInterval: interval})
}

func TestJoinsAreAskedJoinIntervalApart(t *testing.T) {
	c := newClock()
	j := testJoins(20 * ms)
	c.expectAt(t, "deadline without newcomers", j.deadline(), -1)
	if j.due(c.at(0)) {
		t.Error("due without newcomers")
	}
	j.connect("a")
	if !j.due(c.at(0)) {
		t.Error("the first newcomer has to wait")
	}
	if got := j.ask(c.at(0)); !slices.Equal(got, []string{"a"}) {
		t.Errorf("asked %q, want a", got)
	}
	c.expectAt(t, "deadline once all are asked", j.deadline(), -1)
	j.connect("b")
	j.connect("c")
	c.expectAt(t, "deadline of the next newcomers", j.deadline(), 20)
	if j.due(c.at(19)) || !j.due(c.at(20)) {
		t.Error("the next newcomers are not due at 20 ms exactly")
	}
	if got := j.ask(c.at(23)); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("asked %q, want b and c", got)
	}
	j.connect("d")
	c.expectAt(t, "deadline after a late survey", j.deadline(), 43)
}

// With a negative interval, newcomers are surveyed in the next poll.
func TestJoinsWithoutInterval(t *testing.T) {
	c := newClock()
	j := testJoins(-1)
	j.connect("a")
	if j.due(c.at(1e6)) {
		t.Error("due although newcomers cause no survey")
	}
	c.expectAt(t, "deadline", j.deadline(), -1)
	if got := j.take(c.at(2000)); !slices.Equal(got, []string{"a"}) {
		t.Errorf("the poll took %q, want a", got)
	}
	if !j.waiting() || !first(j.hear("a")) {
		t.Error("the newcomer that the poll has asked is not waited for")
	}
}

// Only the newcomers that were asked last are waited for.
func TestJoinsBatch(t *testing.T) {
	c := newClock()
	j := testJoins(20 * ms)
	j.connect("a")
	j.connect("b")
	if j.waiting() {
		t.Error("waiting for newcomers that were not asked")
	}
	j.ask(c.at(0))
	if !first(j.hear("a")) || !j.waiting() {
		t.Error("after one of two: not its first answer, or the other is not waited for")
	}
	if first(j.hear("a")) || first(j.hear("stranger")) {
		t.Error("a second answer, or one of a stranger, is that of a newcomer")
	}
	j.connect("c")
	j.ask(c.at(20))
	if !first(j.hear("c")) || j.waiting() {
		t.Error("b, which was asked before, is still waited for")
	}
	if !first(j.hear("b")) {
		t.Error("the late answer of b is not its first")
	}
	j.connect("d")
	j.ask(c.at(40))
	if j.take(c.at(50)) != nil || !j.waiting() {
		t.Error("a poll without newcomers ends the wait for the batch")
	}
}

func TestJoinsForgetWhatDisconnects(t *testing.T) {
	c := newClock()
	j := testJoins(20 * ms)
	j.connect("a")
	j.ask(c.at(0))
	j.connect("b")
	j.connect("c")
	j.disconnect("a")
	if j.waiting() || first(j.hear("a")) {
		t.Error("a connection that was asked and has ended is still waited for")
	}
	c.expectAt(t, "when everyone asked has had the time to answer", j.answered(c.at(10), 300*ms), 10)
	j.disconnect("b")
	if got := j.ask(c.at(20)); !slices.Equal(got, []string{"c"}) {
		t.Errorf("asked %q, want only c, which is still there", got)
	}
}

func TestJoinsAnswered(t *testing.T) {
	c := newClock()
	j := testJoins(20 * ms)
	c.expectAt(t, "no one was asked", j.answered(c.at(5), 300*ms), 5)
	j.connect("a")
	j.ask(c.at(0))
	j.connect("b")
	j.ask(c.at(20))
	c.expectAt(t, "two were asked", j.answered(c.at(30), 300*ms), 320)
	first(j.hear("b"))
	c.expectAt(t, "the last has answered", j.answered(c.at(30), 300*ms), 300)
	c.expectAt(t, "the other has had its time", j.answered(c.at(400), 300*ms), 400)
}

// first drops the time from the results of hear.
func first(_ time.Time, isNew bool) bool { return isNew }
