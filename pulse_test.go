package gopherdiscovery

import "testing"

func TestPulse(t *testing.T) {
	for _, test := range []struct {
		name    string
		surveys []int // when they came
		want    int   // when the connection is given up; -1 for never
	}{
		{"no survey", nil, -1},
		{"one survey", []int{0}, -1},
		{"two surveys", []int{0, 2000}, -1},
		{"three surveys", []int{0, 2000, 4000}, 34000},
		{"a join just before the polls", []int{0, 10, 2000, 4000}, 34000},
		{"surveys far apart", []int{0, 60000, 120000}, 720000},
		{"one long pause", []int{0, 2000, 4000, 14000}, 114000},
		{"a long pause, and what it has queued up", []int{0, 8000, 8000, 8000}, 8000 + 61250},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClock()
			var p pulse
			for _, at := range test.surveys {
				p.beat(c.at(at))
			}
			due, ok := p.due()
			if !ok {
				due = c.at(0)
				if test.want == -1 {
					return
				}
			}
			c.expectAt(t, "due", due, test.want)
		})
	}
}

func TestPulseIsExcused(t *testing.T) {
	c := newClock()
	var p pulse
	for _, at := range []int{0, 2000, 4000} {
		p.beat(c.at(at))
	}
	p.excuse(c.at(50000))
	due, _ := p.due()
	c.expectAt(t, "due", due, 80000)
}
