package gopherdiscovery

import (
	"slices"
	"testing"
)

// openEdition has published "a" at 1000 and is open.
func openEdition(c clock) edition[string] {
	e := newEdition[string](Options{PollTime: 2000 * ms})
	e.openAt(c.at(1000))
	e.publish(c.at(1000), []string{"a"})
	return e
}

func TestEditionOpens(t *testing.T) {
	c := newClock()
	e := newEdition[string](Options{PollTime: 2000 * ms})
	if e.opened(c.at(1e6)) {
		t.Error("open although it is not known from when on")
	}
	c.expectAt(t, "deadline before that is known", e.deadline(c.at(0), false), -1)
	e.openAt(c.at(1000))
	if e.opened(c.at(999)) || !e.opened(c.at(1000)) {
		t.Error("not opened at 1000 ms exactly")
	}
	e.note(c.at(1), true)
	c.expectAt(t, "the first list", e.publishAt(true), 1000)
	c.expectAt(t, "deadline while closed", e.deadline(c.at(500), false), 1000)
}

// After a halt the edition is closed again, and nothing is due before it opens.
func TestEditionOpensAgain(t *testing.T) {
	c := newClock()
	e := openEdition(c)
	e.note(c.at(1500), true)
	e.openAt(c.at(9000))
	if e.opened(c.at(8999)) {
		t.Error("open before 9000 ms")
	}
	c.expectAt(t, "deadline while closed again", e.deadline(c.at(8000), false), 9000)
	c.expectAt(t, "deadline once open", e.deadline(c.at(9000), false), 1500)
}

func TestEditionPublishAt(t *testing.T) {
	for _, test := range []struct {
		name    string
		changes []int // when names came
		left    int   // when one left; 0 for never
		joined  bool  // one that came is a newcomer's
		waiting bool  // for other newcomers
		want    int   // -1 for never
	}{
		{name: "no change", want: -1},
		{name: "no change, others are waited for", waiting: true, want: -1},
		{name: "a newcomer", changes: []int{1002}, joined: true, want: 1002},
		{name: "a newcomer, others are waited for", changes: []int{1002}, joined: true, waiting: true, want: 1007},
		{name: "newcomers, others are waited for", changes: []int{1002, 1006}, joined: true, waiting: true, want: 1007},
		{name: "a further name soon after a list", changes: []int{1002}, want: 1005},
		{name: "a further name long after a list", changes: []int{1900}, want: 1900},
		{name: "a name has left", left: 1002, want: 1002},
		{name: "a name has left, others are waited for", left: 1002, waiting: true, want: 1002},
		{name: "a name has left after others came", changes: []int{1001}, left: 1003, waiting: true, want: 1001},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClock()
			e := openEdition(c)
			for _, at := range test.changes {
				e.note(c.at(at), false)
			}
			if test.left > 0 {
				e.note(c.at(test.left), true)
			}
			e.joined = test.joined
			c.expectAt(t, "publishAt", e.publishAt(test.waiting), test.want)
			deadline := test.want
			if deadline == -1 {
				deadline = 3000 // the repetition
			}
			c.expectAt(t, "deadline", e.deadline(c.at(1001), test.waiting), deadline)
		})
	}
}

// What a list has told is no reason for the next one.
func TestEditionForgetsChangesThatArePublished(t *testing.T) {
	c := newClock()
	e := openEdition(c)
	e.note(c.at(1002), true)
	e.joined = true
	if !e.publish(c.at(1002), []string{"a", "b"}) {
		t.Error("a new list is not one")
	}
	c.expectAt(t, "publishAt without a change", e.publishAt(false), -1)
	e.note(c.at(1003), false)
	c.expectAt(t, "publishAt of a further name", e.publishAt(false), 1007)
}

func TestEditionOfEqualNamesIsNoList(t *testing.T) {
	c := newClock()
	e := newEdition[string](Options{PollTime: 2000 * ms})
	e.openAt(c.at(1000))
	if !e.publish(c.at(1000), []string{}) {
		t.Error("the first list, which is empty, is not new")
	}
	e.note(c.at(1500), true)
	if e.publish(c.at(1500), []string{}) {
		t.Error("an equal list is new")
	}
	c.expectAt(t, "publishAt after a change that undid itself", e.publishAt(false), -1)
	c.expectAt(t, "when the last list was", e.last, 1000)
	if !e.publish(c.at(1600), []string{"a"}) || !slices.Equal(e.published, []string{"a"}) {
		t.Errorf("the list that was published last is %q, want a", e.published)
	}
	c.expectAt(t, "when the last list was", e.last, 1600)
}

// A list is repeated PollTime after the first one and then after each repetition, whatever is
// published in between.
func TestEditionRepeats(t *testing.T) {
	c := newClock()
	e := newEdition[string](Options{PollTime: 2000 * ms})
	if e.dueRepeat(c.at(1e6)) {
		t.Error("due although there is no list")
	}
	e.openAt(c.at(1000))
	e.publish(c.at(1000), []string{"a"})
	e.publish(c.at(2500), []string{"b"})
	if e.dueRepeat(c.at(2999)) || !e.dueRepeat(c.at(3010)) {
		t.Error("the first repetition is not due at 3000 ms exactly")
	}
	if e.dueRepeat(c.at(5009)) || !e.dueRepeat(c.at(5010)) {
		t.Error("the second repetition is not due PollTime after the first")
	}
	e.note(c.at(7100), true)
	c.expectAt(t, "deadline of a repetition before a list", e.deadline(c.at(6000), false), 7010)
}

func TestEditionIsOwed(t *testing.T) {
	c := newClock()
	e := newEdition[string](Options{PollTime: 2000 * ms})
	e.subscribe("one")
	e.subscribe("two")
	e.subscribe("three")
	if got := e.deliver(); got != nil {
		t.Errorf("deliver to %q before there is a list", got)
	}
	e.unsubscribe("two")
	e.unsubscribe("stranger")
	e.openAt(c.at(1000))
	e.publish(c.at(1000), []string{"a"})
	if got := e.deliver(); !slices.Equal(got, []string{"one", "three"}) {
		t.Errorf("deliver to %q, want one and three", got)
	}
	if got := e.deliver(); len(got) > 0 {
		t.Errorf("deliver to %q a second time", got)
	}
}
