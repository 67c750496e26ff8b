package gopherdiscovery

import (
	"runtime"
	"testing"
	"testing/synctest"
)

// FakeTime runs a test in a bubble of its own, on one processor. On several
// the race detector of Go 1.26 crashes now and then: goroutines whose timers
// are due at once share one of its contexts (timer.unlockAndRun in
// runtime/time.go).
func FakeTime(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	synctest.Test(t, test)
}
