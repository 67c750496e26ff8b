package testmain

import (
	"testing"
	"time"
)

// The pause between two looks is a part of the time that has passed, within
// these bounds: what happens soon is seen soon, and what takes long does not
// cost more.
const (
	shortestPause = time.Millisecond
	longestPause  = 20 * time.Millisecond
	pausePart     = 20
)

// Eventually looks until nothing is missing. If that takes longer than limit,
// the test fails and says what is.
func Eventually(t testing.TB, limit time.Duration, look func() (missing string)) {
	t.Helper()
	for start := time.Now(); ; {
		missing := look()
		if missing == "" {
			return
		}
		passed := time.Since(start)
		if passed > limit {
			t.Fatalf("after %v: %s", limit, missing)
		}
		time.Sleep(min(max(passed/pausePart, shortestPause), longestPause))
	}
}

// Await is like [Eventually] with Patience and one condition.
func Await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	Eventually(t, Patience, func() string {
		if holds() {
			return ""
		}
		return "not so in time: " + what
	})
}
