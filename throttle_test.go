package gopherdiscovery

import (
	"testing"
	"time"
)

func TestThrottle(t *testing.T) {
	var th throttle
	start := time.Now()
	logged := func(at time.Duration) (n, omitted int) {
		for range 25 {
			more, ok := th.pass(start.Add(at))
			if ok {
				n++
				omitted += more
			}
		}
		return n, omitted
	}
	if n, omitted := logged(0); n != 10 || omitted != 0 {
		t.Errorf("first second: %d logged, %d omitted", n, omitted)
	}
	if n, _ := logged(2 * time.Second); n != 0 {
		t.Errorf("%d logged while the logger has not returned from ten", n)
	}
	th.logging = 0
	if n, omitted := logged(4 * time.Second); n != 10 || omitted != 15+25 {
		t.Errorf("later: %d logged, %d omitted, want 10 and 40", n, omitted)
	}
}
