package gopherdiscovery

import (
	"log/slog"
	"sync"
	"time"
)

// warningsPerSecond bounds what strangers can make a socket log.
const warningsPerSecond = 10

// throttle logs warnings that the network causes. When they come too fast, or the logger hangs, it leaves some
// out, and says how many with the next.
type throttle struct {
	logger *slog.Logger

	mu      sync.Mutex // guards the fields below
	second  time.Time  // when the second began that warnings are counted in
	count   int
	logging int // warnings that the logger has not returned from
	omitted int
}

func (t *throttle) warn(what string, args ...any) {
	omitted, ok := t.pass(time.Now())
	if !ok {
		return
	}
	if omitted > 0 {
		args = append(args, "omitted", omitted)
	}
	t.logger.Warn("gopherdiscovery: "+what, args...)
	t.mu.Lock()
	t.logging--
	t.mu.Unlock()
}

// pass tells whether to log a warning now, and how many have been left out since the last.
func (t *throttle) pass(now time.Time) (omitted int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.second) >= time.Second {
		t.second, t.count = now, 0
	}
	if t.count == warningsPerSecond || t.logging == warningsPerSecond {
		t.omitted++
		return 0, false
	}
	t.count++
	t.logging++
	omitted, t.omitted = t.omitted, 0
	return omitted, true
}
