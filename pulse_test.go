package gopherdiscovery

import "testing"

const (
	minute = 60 * 1000
	hour   = 60 * minute
)

func TestPulse(t *testing.T) {
	for _, test := range []struct {
		name    string
		surveys []int // when they came
		want    int   // when the connection is given up
	}{
		{"no survey", nil, hour},
		{"one survey", []int{2000}, 2000 + hour},
		{"two surveys", []int{0, 2000}, 2000 + hour},
		{"three surveys", []int{0, 2000, 4000}, 34000},
		{"a join just before the polls", []int{0, 10, 2000, 4000}, 34000},
		{"surveys far apart", []int{0, minute, 2 * minute}, 12 * minute},
		{"surveys very far apart", []int{0, 4 * hour, 8 * hour}, 48 * hour},
		{"one long pause", []int{0, 2000, 4000, 14000}, 114000},
		{"a long pause, and what it has queued up", []int{0, 8000, 8000, 8000}, 88000},
		{"a long pause, and others", []int{0, 8000, 10000, 12000}, 72000},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClock()
			var p pulse
			p.begin(c.at(0))
			for _, at := range test.surveys {
				p.surveyed(c.at(at))
			}
			c.expectAt(t, "due", p.due(), test.want)
		})
	}
}

func TestPulseIsExcused(t *testing.T) {
	c := newClock()
	var p pulse
	p.begin(c.at(0))
	for _, at := range []int{0, 2000, 4000} {
		p.surveyed(c.at(at))
	}
	p.excuse(c.at(50000))
	c.expectAt(t, "due", p.due(), 80000)
	p.surveyed(c.at(60000))
	c.expectAt(t, "due after a survey that waited", p.due(), 90000)
}

// What is known of a server also holds for the next connection, but the server
// may meanwhile have been told to survey less often.
func TestPulseOfTheNextConnection(t *testing.T) {
	c := newClock()
	var p pulse
	p.begin(c.at(0))
	for _, at := range []int{0, 4000, 8000} {
		p.surveyed(c.at(at))
	}
	p.giveUp()
	p.begin(c.at(50000))
	c.expectAt(t, "due on the second connection", p.due(), 50000+4*40000)
	p.surveyed(c.at(60000))
	c.expectAt(t, "due after a survey", p.due(), 60000+4*40000)
	p.giveUp()
	p.begin(c.at(300000))
	c.expectAt(t, "due on the third connection", p.due(), 300000+16*40000)
}

// A server that surveys once and never again loses its clients less and less
// often.
func TestPulseOfAServerThatAsksOnce(t *testing.T) {
	c := newClock()
	var p pulse
	now := 0
	for i, hours := range []int{1, 4, 16, 24, 24} {
		p.begin(c.at(now))
		p.surveyed(c.at(now))
		now += hours * hour
		c.expectAt(t, "due", p.due(), now)
		if t.Failed() {
			t.Fatalf("on connection %d", i+1)
		}
		p.giveUp()
	}
	p.begin(c.at(now))
	for i := range 3 {
		p.surveyed(c.at(now + i*2000))
	}
	p.begin(c.at(now + 5000))
	c.expectAt(t, "due once it asks often", p.due(), now+5000+4*30000)
}
