package sp

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestRedialDelay(t *testing.T) {
	for _, test := range []struct {
		failures int
		chance   float64
		want     time.Duration
	}{
		{0, 0, 40 * ms},
		{0, 1, 30 * ms},
		{1, 0, 60 * ms},
		{2, 0, 90 * ms},
		{8, 0, 1000 * ms},
		{1000000, 0, 1000 * ms},
		{1000000, 1, 750 * ms},
	} {
		if got := RedialDelay(test.failures, test.chance); got != test.want {
			t.Errorf("%d failures, chance %v: got %v, want %v", test.failures, test.chance, got, test.want)
		}
	}
}

// A server is awaited from the first failure to the first success.
func TestAwaitedServers(t *testing.T) {
	r := newTestRedialer(newEndpoint(Sub, quietSettings), Address{"tcp", "127.0.0.1:1"})
	for _, step := range []struct {
		name string
		do   func()
		want bool
	}{
		{"at first", func() {}, false},
		{"before the first attempt", func() { r.wait() }, false},
		{"after a failure", func() { r.wait() }, true},
		{"connected", r.succeed, false},
		{"when the connection is lost", func() { r.wait() }, false},
		{"after another failure", func() { r.wait() }, false},
	} {
		step.do()
		if got := r.awaits(); got != step.want {
			t.Errorf("%s: got %t, want %t", step.name, got, step.want)
		}
	}
}

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		sleep(t.Context(), time.Minute)
		if got := time.Since(start); got != time.Minute {
			t.Errorf("slept for %v, want a minute", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		sleep(ctx, time.Minute)
		if got := time.Since(start); got != time.Second {
			t.Errorf("slept for %v, want a second, when the context ends", got)
		}
	})
}
