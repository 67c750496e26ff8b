package gopherdiscovery

import (
	"testing"
	"time"
)

func TestRedialDelay(t *testing.T) {
	for _, test := range []struct {
		failures int
		chance   float64
		want     time.Duration
	}{
		{0, 0, 100 * ms},
		{0, 1, 75 * ms},
		{1, 0, 150 * ms},
		{2, 0, 225 * ms},
		{6, 0, 1000 * ms},
		{1000000, 0, 1000 * ms},
		{1000000, 1, 750 * ms},
	} {
		if got := redialDelay(test.failures, test.chance); got != test.want {
			t.Errorf("%d failures, chance %v: got %v, want %v", test.failures, test.chance, got, test.want)
		}
	}
}
