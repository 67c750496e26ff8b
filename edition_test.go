package gopherdiscovery

import (
	"testing"
	"time"
)

// openEdition returns an edition whose complete list was published at 1000.
func openEdition(c clock) edition {
	var e edition
	e.openAt(c.at(1000))
	e.open(c.at(1000))
	e.published(c.at(1000))
	return e
}

func TestEditionOpens(t *testing.T) {
	c := newClock()
	var e edition
	if e.open(c.at(1e6)) || e.complete {
		t.Error("complete although it is not known from when on")
	}
	c.expectAt(t, "deadline before that is known", e.deadline(false), -1)
	e.openAt(c.at(1000))
	c.expectAt(t, "deadline while incomplete", e.deadline(false), 1000)
	if e.open(c.at(999)) || !e.open(c.at(1000)) || !e.complete {
		t.Error("not complete at 1000 ms exactly")
	}
	if e.open(c.at(1001)) {
		t.Error("complete a second time")
	}
	c.expectAt(t, "deadline once complete", e.deadline(false), -1)
}

// After a halt the list is incomplete again, but changes are still due.
func TestEditionOpensAgain(t *testing.T) {
	c := newClock()
	e := openEdition(c)
	e.openAt(c.at(9000))
	if e.complete || e.open(c.at(8999)) {
		t.Error("complete before 9000 ms")
	}
	c.expectAt(t, "deadline without a change", e.deadline(false), 9000)
	e.change(c.at(1500), 1, true)
	c.expectAt(t, "deadline of a change", e.deadline(false), 1500)
}

func TestEditionPublishAt(t *testing.T) {
	for _, test := range []struct {
		name    string
		names   int   // how many there are
		changes []int // when names came
		left    int   // when one left; 0 for never
		joined  bool  // one of the names is a newcomer's
		took    []int // how long newcomers took to answer
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
		{name: "a slow newcomer soon after a list", changes: []int{1002}, joined: true, took: []int{300}, want: 1300},
		{name: "a slow newcomer long after a list", changes: []int{1302}, joined: true, took: []int{300}, want: 1302},
		{name: "slow newcomers, others are waited for", changes: []int{1298}, joined: true, took: []int{300}, waiting: true, want: 1303},
		{name: "a slow newcomer among fast ones", changes: []int{1002}, joined: true, took: []int{5000, 1, 2}, want: 1002},
		{name: "a slow newcomer and a fast one", changes: []int{1002}, joined: true, took: []int{5000, 49}, want: 1002},
		{name: "a fast newcomer among slow ones", changes: []int{1002}, joined: true, took: []int{50, 1, 70}, want: 1050},
		{name: "very slow newcomers", changes: []int{1002}, joined: true, took: []int{5000, 5000}, want: 2000},
		{name: "a slow newcomer to a list of usual length", names: 1000, changes: []int{1002}, joined: true, took: []int{300}, want: 1300},
		{name: "a slow newcomer to a long list", names: 2000, changes: []int{1002}, joined: true, took: []int{300}, want: 2050},
		{name: "a slow newcomer to a very long list", names: maxTotalNames, changes: []int{1002}, joined: true, took: []int{300}, want: 4000},
		{name: "a very slow newcomer to a long list", names: 1200, changes: []int{1002}, joined: true, took: []int{5000}, want: 2418},
		{name: "a newcomer to a very long list that is hardly slow", names: 10000, changes: []int{1002}, joined: true, took: []int{51}, want: 1150},
		{name: "a fast newcomer to a long list", names: 4000, changes: []int{1002}, joined: true, took: []int{49}, want: 1002},
		{name: "a slow newcomer and a leave", changes: []int{1002}, left: 1003, joined: true, took: []int{5000}, want: 1002},
		{name: "a name has left", left: 1002, want: 1002},
		{name: "a name has left, others are waited for", left: 1002, waiting: true, want: 1002},
		{name: "a name has left after others came", changes: []int{1001}, left: 1003, waiting: true, want: 1001},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClock()
			e := openEdition(c)
			for _, at := range test.changes {
				e.change(c.at(at), test.names, false)
			}
			if test.left > 0 {
				e.change(c.at(test.left), test.names, true)
			}
			e.joined = test.joined
			for _, took := range test.took {
				e.join(time.Duration(took) * ms)
			}
			c.expectAt(t, "publishAt", e.publishAt(test.waiting), test.want)
			c.expectAt(t, "deadline", e.deadline(test.waiting), test.want)
			if test.want > 0 && (e.due(c.at(test.want-1), test.waiting) || !e.due(c.at(test.want), test.waiting)) {
				t.Errorf("not due at %d ms exactly", test.want)
			}
		})
	}
}

// A change that has been published is no reason for another list.
func TestEditionForgetsChangesThatArePublished(t *testing.T) {
	c := newClock()
	e := openEdition(c)
	e.change(c.at(1002), 1, true)
	e.joined = true
	e.published(c.at(1002))
	c.expectAt(t, "publishAt without a change", e.publishAt(false), -1)
	if e.due(c.at(1e6), false) {
		t.Error("due without a change")
	}
	e.change(c.at(1003), 1, false)
	c.expectAt(t, "publishAt of a further name", e.publishAt(false), 1007)
}

// While the list is complete, ends of connections are gathered. They are
// gathered for longer when there are several, since more may follow.
func TestEditionGathersEnds(t *testing.T) {
	for _, test := range []struct {
		name     string
		ends     []int
		complete bool
		want     int
	}{
		{"one", []int{1002}, true, 1007},
		{"several", []int{1002, 1006}, true, 1106},
		{"several, for long", []int{1002, 1090, 1950}, true, 2002},
		{"several, incomplete", []int{1002, 1006}, false, 1002},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClock()
			e := openEdition(c)
			e.complete = test.complete
			for _, at := range test.ends {
				e.change(c.at(at), 1, true)
				e.lose(c.at(at))
			}
			c.expectAt(t, "publishAt", e.publishAt(false), test.want)
			e.published(c.at(3000))
			c.expectAt(t, "publishAt once they are told", e.publishAt(false), -1)
			e.change(c.at(3001), 1, true)
			c.expectAt(t, "publishAt of a later change", e.publishAt(false), 3001)
		})
	}
}

// Publishing a list forgets how long the newcomers took. At most paceSample of
// these times are kept.
func TestEditionPace(t *testing.T) {
	var e edition
	for range 1000 {
		e.join(200 * ms)
	}
	if len(e.answerTimes) != paceSample || e.pace() != 200*ms {
		t.Errorf("got a pace of %v from %d times, want 200ms from %d", e.pace(), len(e.answerTimes), paceSample)
	}
	e.published(time.Now())
	if len(e.answerTimes) != 0 || e.pace() != 0 {
		t.Errorf("after a list: got a pace of %v from %d times, want none", e.pace(), len(e.answerTimes))
	}
}
