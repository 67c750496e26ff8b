package web

import "time"

// healthMemory is how long a server that could not accept a connection counts
// as unhealthy.
const healthMemory = 10 * time.Second

// acceptHealth tells from a counter of connections that could not be accepted
// whether that is so now.
type acceptHealth struct {
	errors uint64    // the counter when it was last looked at
	risen  time.Time // when it was last seen to have risen; zero if never
}

// check looks at the counter, which is acceptErrors now. It returns true if
// that has risen within healthMemory.
func (h *acceptHealth) check(acceptErrors uint64, now time.Time) bool {
	if acceptErrors > h.errors {
		h.errors, h.risen = acceptErrors, now
	}
	return !h.risen.IsZero() && now.Sub(h.risen) < healthMemory
}
