package web

import (
	"context"
	"sync"
	"time"
)

const (
	// healthMemory is how long a server that could not accept a connection
	// counts as unhealthy.
	healthMemory = 10 * time.Second

	// healthInterval is how often the counter is looked at, so that the
	// answer does not depend on when it was asked for last.
	healthInterval = time.Second
)

// acceptHealth tells from a counter of connections that could not be accepted
// whether that is so now. The zero value is ready to use, and the methods may
// be called concurrently.
type acceptHealth struct {
	mu     sync.Mutex // guards the fields below
	errors uint64     // the counter when it was last looked at
	risen  time.Time  // when it was last seen to have risen; zero if never
}

// failing reports whether the counter, which is acceptErrors now, has risen
// within healthMemory.
func (h *acceptHealth) failing(acceptErrors uint64, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if acceptErrors > h.errors {
		h.errors, h.risen = acceptErrors, now
	}
	return !h.risen.IsZero() && now.Sub(h.risen) < healthMemory
}

// run looks at the counter until ctx ends.
func (h *acceptHealth) run(ctx context.Context, acceptErrors func() uint64) {
	ticker := time.NewTicker(healthInterval)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			h.failing(acceptErrors(), now)
		case <-ctx.Done():
			return
		}
	}
}
