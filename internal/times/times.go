// Package times compares times, and tells whether the process was stopped.
package times

import "time"

// Earliest returns the earlier of two times.
func Earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Latest returns the later of two times.
func Latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// An Alarm is when a goroutine wants to run again. If it runs much later, the
// process was stopped: by a signal, a debugger, a suspended machine, or for
// want of a processor. Nobody else is to blame for what has not come meanwhile.
type Alarm struct {
	At time.Time // zero for never
}

// Stopped returns how long the process was stopped, if the goroutine that set
// the alarm runs now. Up to tolerance it counts as running.
func (a Alarm) Stopped(now time.Time, tolerance time.Duration) time.Duration {
	late := now.Sub(a.At)
	if a.At.IsZero() || late <= tolerance {
		return 0
	}
	return late
}
