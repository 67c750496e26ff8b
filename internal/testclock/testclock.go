// Package testclock tells the time in tests: in milliseconds since a start.
package testclock

import (
	"testing"
	"time"
)

// Clock counts time in milliseconds since its start.
type Clock struct{ start time.Time }

// New returns a clock.
func New() Clock { return Clock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

// At returns a time in milliseconds since the clock's start.
func (c Clock) At(millis int) time.Time {
	return c.start.Add(time.Duration(millis) * time.Millisecond)
}

// Millis is the inverse of At.
func (c Clock) Millis(at time.Time) int { return int(at.Sub(c.start).Milliseconds()) }

// Expect compares a time with one in milliseconds since the clock's start; -1
// is the zero time.
func (c Clock) Expect(t *testing.T, what string, got time.Time, want int) {
	t.Helper()
	wanted := c.At(want)
	if want == -1 {
		wanted = time.Time{}
	}
	if !got.Equal(wanted) {
		t.Errorf("%s: got %v, want %v", what, got.Sub(c.start), wanted.Sub(c.start))
	}
}
