package membership

import (
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/testclock"
)

func TestPace(t *testing.T) {
	for _, test := range []struct {
		name    string
		names   int   // how many there are
		changes []int // when names came
		left    int   // when one left; 0 for never
		took    []int // how long newcomers took to answer
		waiting bool  // for other newcomers
		want    int   // -1 for never
	}{
		{name: "no change", want: -1},
		{name: "no change, others are waited for", waiting: true, want: -1},
		{name: "a newcomer", changes: []int{1002}, want: 1005},
		{name: "a newcomer, others are waited for", changes: []int{1002}, waiting: true, want: 1007},
		{name: "newcomers, others are waited for", changes: []int{1002, 1006}, waiting: true, want: 1007},
		{name: "a further name soon after a list", changes: []int{1002}, want: 1005},
		{name: "a further name long after a list", changes: []int{1900}, want: 1900},
		{name: "a slow newcomer soon after a list", changes: []int{1002}, took: []int{300}, want: 1052},
		{name: "a slow newcomer soon after a list, others are waited for", changes: []int{1002}, took: []int{300}, waiting: true, want: 1300},
		{name: "a slow newcomer long after a list", changes: []int{1302}, took: []int{300}, want: 1302},
		{name: "slow newcomers, others are waited for", changes: []int{1298}, took: []int{300}, waiting: true, want: 1303},
		{name: "a slow newcomer among fast ones", changes: []int{1002}, took: []int{5000, 1, 2}, want: 1005},
		{name: "a slow newcomer and a fast one", changes: []int{1002}, took: []int{5000, 49}, want: 1005},
		{name: "a fast newcomer among slow ones", changes: []int{1002}, took: []int{50, 1, 70}, want: 1050},
		{name: "very slow newcomers", changes: []int{1002}, took: []int{5000, 5000}, waiting: true, want: 2000},
		{name: "a slow newcomer to a list of usual length", names: 1000, changes: []int{1002}, took: []int{300}, waiting: true, want: 1300},
		{name: "slow newcomers to a long list, none for a while", names: 2000, changes: []int{1002}, took: []int{300}, waiting: true, want: 1302},
		{name: "slow newcomers to a long list", names: 2000, changes: []int{1002, 1900}, took: []int{300}, waiting: true, want: 2050},
		{name: "slow newcomers to a very long list", names: MaxTotalNames, changes: []int{1002, 3900}, took: []int{300}, waiting: true, want: 4000},
		{name: "very slow newcomers to a long list", names: 1200, changes: []int{1002, 1900}, took: []int{5000}, waiting: true, want: 2418},
		{name: "newcomers to a very long list that are hardly slow", names: 10000, changes: []int{1002, 1120}, took: []int{51}, want: 1150},
		{name: "a fast newcomer to a long list", names: 4000, changes: []int{1002}, took: []int{49}, want: 1005},
		{name: "a slow newcomer and a leave", changes: []int{1002}, left: 1003, took: []int{5000}, want: 1002},
		{name: "a name has left", left: 1002, want: 1002},
		{name: "a name has left, others are waited for", left: 1002, waiting: true, want: 1002},
		{name: "a name has left after others came", changes: []int{1001}, left: 1003, waiting: true, want: 1001},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := testclock.New()
			p := pace{last: c.At(1000)}
			for _, at := range test.changes {
				p.add(c.At(at), test.names)
			}
			if test.left > 0 {
				p.remove(c.At(test.left))
			}
			for _, took := range test.took {
				p.recordAnswerTime(time.Duration(took) * ms)
			}
			c.Expect(t, "due", p.dueAt(test.waiting), test.want)
			if test.want > 0 && (isDue(p.dueAt(test.waiting), c.At(test.want-1)) || !isDue(p.dueAt(test.waiting), c.At(test.want))) {
				t.Errorf("not due at %d ms exactly", test.want)
			}
		})
	}
}

// A change that has been published is no reason for another list.
func TestPaceForgetsChangesThatArePublished(t *testing.T) {
	c := testclock.New()
	p := pace{last: c.At(1000)}
	p.add(c.At(1002), 1)
	p.remove(c.At(1002))
	p.published(c.At(1002))
	c.Expect(t, "due without a change", p.dueAt(false), -1)
	if isDue(p.dueAt(false), c.At(1e6)) {
		t.Error("due without a change")
	}
	p.add(c.At(1003), 1)
	c.Expect(t, "due for a further name", p.dueAt(false), 1007)
}

// A list without new names delays no join.
func TestPaceOfJoinsAfterLeaves(t *testing.T) {
	c := testclock.New()
	p := pace{last: c.At(1000)}
	p.remove(c.At(1500))
	p.published(c.At(1500))
	p.recordAnswerTime(300 * ms)
	p.add(c.At(1510), 1)
	c.Expect(t, "due for a newcomer", p.dueAt(false), 1510)
	p.published(c.At(1510))
	p.recordAnswerTime(300 * ms)
	p.add(c.At(1530), 2)
	c.Expect(t, "due for the next one", p.dueAt(true), 1810)
}

// Publishing a list forgets how long the newcomers took. At most paceSample of
// these times are kept.
func TestPaceKeepsFewTimes(t *testing.T) {
	var p pace
	for range 1000 {
		p.recordAnswerTime(200 * ms)
	}
	if len(p.answerTimes) != paceSample || p.interval() != 200*ms {
		t.Errorf("got an interval of %v from %d times, want 200ms from %d", p.interval(), len(p.answerTimes), paceSample)
	}
	p.published(testclock.New().At(0))
	if len(p.answerTimes) != 0 || p.interval() != 0 {
		t.Errorf("after a list: got an interval of %v from %d times, want none", p.interval(), len(p.answerTimes))
	}
}
