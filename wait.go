package gopherdiscovery

import (
	"context"
	"time"
)

// bell wakes a goroutine. Rings that the goroutine has not noticed yet count as
// one, so it must look at everything that is new.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

// ring rings the bell. It never blocks.
func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// sleep pauses for d, or until ctx is done.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
