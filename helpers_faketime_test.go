package gopherdiscovery

import (
	"runtime"
	"testing"
	"testing/synctest"
)

// FakeTime runs a test in a bubble of its own, on one processor. On several
// processors the race detector of Go 1.26 crashes now and then, because
// goroutines whose timers are due at the same time share one of its contexts
// (timer.unlockAndRun in runtime/time.go).
func FakeTime(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	synctest.Test(t, test)
}
