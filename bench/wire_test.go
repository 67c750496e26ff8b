package main

import (
	"testing"
	"time"
)

// A light peer pauses as one of the library does before it connects again.
func TestRedialDelay(t *testing.T) {
	const ms = time.Millisecond
	for failures, want := range []time.Duration{100 * ms, 150 * ms, 225 * ms} {
		if got := redialDelay(failures, 0); got != want {
			t.Errorf("after %d failures: got %v, want %v", failures, got, want)
		}
	}
	for chance, want := range map[float64]time.Duration{0: time.Second, 1: 750 * ms} {
		if got := redialDelay(100, chance); got != want {
			t.Errorf("after 100 failures, with chance %v: got %v, want %v", chance, got, want)
		}
	}
}
