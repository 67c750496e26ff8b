package gopherdiscovery

import "testing"

func TestLosses(t *testing.T) {
	for _, test := range []struct {
		name  string
		known int
		ends  []int // when connections end
		want  int   // the end with which most are lost; 0 for none
	}{
		{"one of one", 1, []int{0}, 0},
		{"all of two", 2, []int{0, 0}, 0},
		{"all of three", 3, []int{0, 1, 2}, 3},
		{"half of six", 6, []int{0, 1, 2}, 0},
		{"more than half of six", 6, []int{0, 1, 2, 3}, 4},
		{"within a second", 5, []int{0, 500, 1000}, 3},
		{"within more than a second", 5, []int{0, 500, 1001}, 0},
		{"one after the other", 3, []int{0, 2000, 4000}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClock()
			var l losses
			conns, got := test.known, 0
			for i, at := range test.ends {
				if l.expired(c.at(at)) {
					l.begin(c.at(at), conns, test.known, []string{"a"})
				}
				if most, first := l.end(i+1, c.at(at)); most && got == 0 {
					if !first {
						t.Errorf("end %d is the first that makes it most, and does not say so", i+1)
					}
					got = i + 1
				}
				conns--
			}
			if got != test.want {
				t.Errorf("most have ended with end %d, want %d", got, test.want)
			}
			if c := c.at(test.ends[len(test.ends)-1] + 1); l.recent(c) != (test.want > 0) || l.lost("a", c) != (test.want > 0) || l.lost("b", c) {
				t.Errorf("got recent %t, a lost %t, b lost %t", l.recent(c), l.lost("a", c), l.lost("b", c))
			}
		})
	}
}

// A mass loss is remembered for 10 minutes, or until most are back.
func TestLossesAreForgotten(t *testing.T) {
	c := newClock()
	lose := func() *losses {
		l := new(losses)
		l.begin(c.at(0), 3, 3, []string{"a", "b", "c", "d"})
		for i := range 3 {
			l.end(i+1, c.at(0))
		}
		return l
	}
	l := lose()
	if end := int(lossMemory / ms); !l.lost("d", c.at(end-1)) || l.lost("d", c.at(end)) {
		t.Error("not forgotten at 10 minutes exactly")
	}
	l = lose()
	l.settle([]string{"a", "b"}, c.at(1))
	if !l.lost("c", c.at(1)) {
		t.Error("forgotten although only half are back")
	}
	l.settle([]string{"a", "b", "c", "x"}, c.at(1))
	if l.lost("d", c.at(1)) {
		t.Error("not forgotten although most are back")
	}
	// A client that leaves in the meantime does not change what is remembered.
	l = lose()
	l.begin(c.at(5000), 1, 4, []string{"a"})
	if !l.lost("d", c.at(5000)) {
		t.Error("forgotten for another end")
	}
}

// Connections that come and go do not count as a loss of those that stay.
func TestLossesOfNewcomers(t *testing.T) {
	c := newClock()
	var l losses
	l.begin(c.at(0), 2, 2, []string{"a", "b"})
	l.end(2, c.at(0))
	for number := 3; number < 10; number++ {
		if most, _ := l.end(number, c.at(number)); most {
			t.Fatalf("connection %d came later, and its end is one of most", number)
		}
	}
}

// A name that is back, or never left, is not one of those that may come back.
func TestLossesForgetThoseWhoAreThere(t *testing.T) {
	c := newClock()
	var l losses
	l.begin(c.at(0), 3, 3, []string{"a", "b", "c", "d"})
	for i := range 3 {
		l.end(i+1, c.at(0))
	}
	l.settle([]string{"a"}, c.at(1))
	for _, test := range []struct {
		name string
		want bool
	}{{"a", false}, {"b", true}, {"c", true}} {
		if got := l.lost(test.name, c.at(1)); got != test.want {
			t.Errorf("%s: got lost %t, want %t", test.name, got, test.want)
		}
	}
}

// A further loss adds other names to those that may come back.
func TestLossesAddUp(t *testing.T) {
	c := newClock()
	var l losses
	for _, loss := range []struct {
		at   int
		list []string
	}{{0, []string{"a", "b"}}, {5000, []string{"c", "d"}}} {
		number := loss.at + 3
		l.begin(c.at(loss.at), 3, number, loss.list)
		for range 3 {
			l.end(number, c.at(loss.at))
		}
		l.settle(nil, c.at(loss.at+1))
	}
	for _, name := range []string{"a", "b", "c", "d"} {
		if !l.lost(name, c.at(6000)) {
			t.Errorf("%s is not known to be lost", name)
		}
	}
	late := 5000 + int(lossMemory/ms)
	l.begin(c.at(late), 3, late+3, []string{"e"})
	for range 3 {
		l.end(late+3, c.at(late))
	}
	if l.lost("a", c.at(late)) {
		t.Error("a is still remembered after 10 minutes")
	}
}
