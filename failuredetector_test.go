package gopherdiscovery

import (
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/testclock"
)

const (
	minute = 60 * 1000
	hour   = 60 * minute
)

// newDetector returns the detector of a connection that began at 0, and was
// surveyed at
// these times.
func newDetector(c testclock.Clock, surveys ...int) *failureDetector {
	p := new(failureDetector)
	p.connected(c.At(0))
	for _, at := range surveys {
		p.surveyed(c.At(at))
	}
	return p
}

func TestFailureDetector(t *testing.T) {
	for _, test := range []struct {
		name    string
		surveys []int // when they came
		want    int   // when the connection is doubted
	}{
		{"no survey", nil, 30000},
		{"one survey", []int{2000}, 32000},
		{"two surveys", []int{0, 2000}, 32000},
		{"three surveys", []int{0, 2000, 4000}, 10000},
		{"three quick surveys", []int{0, 50, 100}, 5100},
		{"a join just before the polls", []int{0, 10, 2000, 4000}, 10000},
		{"surveys far apart", []int{0, minute, 2 * minute}, 5 * minute},
		{"surveys very far apart", []int{0, 4 * hour, 8 * hour}, 20 * hour},
		{"one long pause", []int{0, 2000, 4000, 14000}, 44000},
		{"a long pause, and what it has queued up", []int{0, 8000, 8000, 8000}, 32000},
		{"a long pause, and others", []int{0, 8000, 10000, 12000}, 30000},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := testclock.New()
			p := newDetector(c, test.surveys...)
			c.Expect(t, "due", p.dueAt(), test.want)
		})
	}
}

func TestDetectorIsExcused(t *testing.T) {
	c := testclock.New()
	p := newDetector(c, 0, 2000, 4000)
	p.excuse(c.At(50000))
	c.Expect(t, "due", p.dueAt(), 56000)
	p.surveyed(c.At(60000))
	c.Expect(t, "due after a survey that waited", p.dueAt(), 66000)
}

// A server that has hung for a minute does not usually pause for as long.
func TestDetectorLearnsNothingFromAHang(t *testing.T) {
	c := testclock.New()
	p := newDetector(c, 0, 2000, 4000)
	p.settle(false)
	p.surveyed(c.At(60000))
	c.Expect(t, "due", p.dueAt(), 60000+2*6000)
}

// What is known of a server also holds for the next connection. A doubt proves
// right only if the server is known to survey the connection often.
func TestDetectorIsSettled(t *testing.T) {
	for _, test := range []struct {
		name    string
		surveys []int // on the connection that is doubted
		other   bool  // the new connection is surveyed first
		right   bool
		want    int // the patience on a new connection after two such doubts
	}{
		{"right", []int{0, 2000, 4000}, true, true, 6000},
		{"wrong", []int{0, 2000, 4000}, false, false, 4 * 6000},
		{"unproven", []int{0}, true, false, 4 * 30000},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := testclock.New()
			var p failureDetector
			for range 2 {
				p.connected(c.At(0))
				for _, at := range test.surveys {
					p.surveyed(c.At(at))
				}
				if got := p.settle(test.other); got != test.right {
					t.Errorf("the doubt is right: got %t, want %t", got, test.right)
				}
			}
			p.connected(c.At(0))
			c.Expect(t, "due", p.dueAt(), test.want)
			for _, at := range []int{0, 2000, 4000} {
				p.surveyed(c.At(at))
			}
			p.settle(true)
			p.connected(c.At(0))
			c.Expect(t, "due after a doubt that was right", p.dueAt(), 6000)
		})
	}
}

// Patience has a limit, which is no shorter than three pauses.
func TestDetectorLosesItsDoubts(t *testing.T) {
	for _, test := range []struct {
		name    string
		surveys []int
		want    int
	}{
		{"unknown", nil, hour},
		{"often", []int{0, 2000, 4000}, hour},
		{"seldom", []int{0, hour, 2 * hour}, 3 * hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := testclock.New()
			p := newDetector(c, test.surveys...)
			for range 100 {
				p.settle(false)
			}
			p.connected(c.At(0))
			c.Expect(t, "due", p.dueAt(), test.want)
		})
	}
}
