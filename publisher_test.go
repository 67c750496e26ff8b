package gopherdiscovery

import (
	"testing"
	"time"
)

func TestRepeatInterval(t *testing.T) {
	for _, test := range []struct {
		listLen, subscribers int
		pause, want          time.Duration
	}{
		{1000, 50, 2 * time.Second, 5960 * time.Microsecond},
		{16 << 10, 10 << 10, time.Minute, 20 * time.Second},
		// A subscriber would take 6 s for a sign of death.
		{16 << 10, 10 << 10, 2 * time.Second, 3 * time.Second},
	} {
		if got := repeatInterval(test.listLen, test.subscribers, test.pause).Round(10 * time.Microsecond); got != test.want {
			t.Errorf("%d bytes for %d subscribers after %v: got %v, want %v", test.listLen, test.subscribers, test.pause, got, test.want)
		}
	}
}
