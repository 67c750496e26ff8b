package gopherdiscovery

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// outlook drives a view by hand, in milliseconds.
type outlook struct {
	*view[*pipe]
	t     *testing.T
	start time.Time
}

func newOutlook(t *testing.T) *outlook {
	return &outlook{newView[*pipe](), t, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

func (o *outlook) at(millis int) time.Time { return o.start.Add(time.Duration(millis) * ms) }

// says lets a server send a list, as in "a b".
func (o *outlook) says(millis int, p *pipe, list string) {
	body := []byte(strings.ReplaceAll(list, " ", separator))
	if !o.repeats(p, body, o.at(millis)) {
		names, _ := decodeList(body)
		o.hear(p, body, names, o.at(millis))
	}
}

func (o *outlook) expect(want ...string) {
	o.t.Helper()
	if got := o.union(); !slices.Equal(got, want) || (got == nil) != (want == nil) {
		o.t.Errorf("got %q, want %q", got, want)
	}
}

func TestUnion(t *testing.T) {
	o := newOutlook(t)
	one, two := new(pipe), new(pipe)
	o.expect()
	o.connect(one)
	o.expect() // connected, but not heard
	o.says(0, one, "b c")
	o.expect("b", "c")
	o.connect(two)
	o.expect("b", "c")
	o.says(1, two, "a c")
	o.expect("a", "b", "c")
	o.says(2, two, "c") // a is gone, b is still in one list
	o.says(3, one, "c")
	o.expect("c")
	o.says(4, one, "")
	o.says(4, two, "")
	o.expect([]string{}...)
	o.says(5, two, "d")
	o.disconnect(one)
	o.expect("d")
	o.says(6, one, "late") // what a connection had received when it ended
	o.expect("d")
	o.disconnect(two)
	o.expect()
}

// The list of a server that has just come back does not replace what it has not sent yet.
func TestUnionDoesNotChangeLists(t *testing.T) {
	o := newOutlook(t)
	one, two := new(pipe), new(pipe)
	o.connect(one)
	o.connect(two)
	o.says(0, one, "b d")
	o.says(0, two, "a c")
	o.expect("a", "b", "c", "d")
	if got := o.words[one].list; !slices.Equal(got, []string{"b", "d"}) {
		t.Errorf("the list of one is now %q", got)
	}
}

func TestOverdue(t *testing.T) {
	o := newOutlook(t)
	p := new(pipe)
	expect := func(want int) {
		t.Helper()
		if got := o.deadline(); want == 0 && !got.IsZero() || want > 0 && !got.Equal(o.at(want)) {
			t.Errorf("got deadline %v, want %d ms", got.Sub(o.start), want)
		}
	}
	o.connect(p)
	expect(0)
	o.says(1900, p, "a") // on connecting, just before a repetition
	o.says(2000, p, "a")
	expect(0)
	o.says(3900, p, "a b") // a change between two repetitions tells nothing about their pause
	o.says(4000, p, "a b")
	expect(0)
	o.says(6000, p, "a b")
	expect(12000)
	o.says(6500, p, "a") // but is as good a sign of life
	expect(12500)
	o.says(8000, p, "a")
	expect(14000)
	o.says(8500, p, "a b")
	expect(14500)
	if got := o.overdue(o.at(14499)); len(got) != 0 {
		t.Errorf("overdue before its time: %v", got)
	}
	if got := o.overdue(o.at(14500)); len(got) != 1 || got[0] != p {
		t.Errorf("not overdue: %v", got)
	}
	o.excuse(1000 * ms)
	expect(15500)
	o.connect(p)
	for i := range 5 {
		o.says(20000+10*i, p, "a")
	}
	expect(21040) // nobody is overdue within a second
}

// Servers of 2015 send changes only, however often.
func TestServersThatDoNotRepeatAreNeverOverdue(t *testing.T) {
	o := newOutlook(t)
	p := new(pipe)
	o.connect(p)
	for i, list := range strings.Split("a,a b,a,,a,a b,b,a b", ",") {
		o.says(1000*i, p, list)
	}
	if got := o.deadline(); !got.IsZero() {
		t.Errorf("got deadline %v", got)
	}
}

func TestNextInterval(t *testing.T) {
	for _, test := range []struct{ old, pause, want time.Duration }{
		{0, 2000 * ms, 2000 * ms},
		{2000 * ms, 2100 * ms, 2100 * ms},
		{2000 * ms, 0, 2000 * ms},
		{2000 * ms, 1000 * ms, 1750 * ms},
		{2000 * ms, 1950 * ms, 1950 * ms},
	} {
		if got := nextInterval(test.old, test.pause); got != test.want {
			t.Errorf("after %v, %v: got %v, want %v", test.old, test.pause, got, test.want)
		}
	}
}

// What a subscriber hears after it was stopped for a while: first all that has queued up, then one
// repetition each 2 s.
func TestIntervalAfterAHalt(t *testing.T) {
	for _, halt := range []int{8, 20, 60, 240, 600} {
		o := newOutlook(t)
		p := new(pipe)
		o.connect(p)
		for i := range 10 {
			o.says(2000*i, p, "a")
		}
		now := 18000 + 1000*halt
		for range halt / 2 {
			o.says(now, p, "a")
		}
		for i := range 5 {
			o.says(now+2000*(i+1), p, "a")
			if wait := o.deadline().Sub(o.at(now + 2000*(i+1))); wait < 4*time.Second || wait > 7*time.Second {
				t.Errorf("after a halt of %d s and %d repetitions: waits %v for the next, want 6 s", halt, i+1, wait)
			}
		}
	}
}
