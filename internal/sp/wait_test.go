package sp

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sptest"
)

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

// A bell that no one listens to rings once, and blocks no one.
func TestBell(t *testing.T) {
	// In a bubble, a ring that blocks is a deadlock, which is reported.
	synctest.Test(t, func(t *testing.T) {
		b := NewBell()
		for range 3 {
			b.Ring()
		}
		if !sptest.Rang(b) {
			t.Error("the bell has not rung")
		}
		if sptest.Rang(b) {
			t.Error("the bell has rung twice")
		}
	})
}
