package follow

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Quiet says how long a list must have been the same before it is acted on.
// The zero value stands for no time at all.
type Quiet struct {
	// For is how long the list must be the same.
	For time.Duration

	// AtMost is how long a change waits for that.
	AtMost time.Duration
}

// timesFor is how much longer than the quiet time a change waits for it, if
// nothing else is said.
const timesFor = 4

// Set reads FOR or FOR:ATMOST, such as 500ms:5s. Without ATMOST that is four
// times FOR.
func (q *Quiet) Set(text string) error {
	shortest, longest, hasLongest := strings.Cut(text, ":")
	var parsed Quiet
	var err error
	if parsed.For, err = time.ParseDuration(shortest); err != nil {
		return err
	}
	if parsed.AtMost = timesFor * parsed.For; hasLongest {
		if parsed.AtMost, err = time.ParseDuration(longest); err != nil {
			return err
		}
	}
	if parsed.For < 0 || parsed.AtMost < parsed.For {
		return errors.New("want QUIET:MAX, with 0 <= QUIET <= MAX")
	}
	*q = parsed
	return nil
}

func (q *Quiet) String() string {
	if *q == (Quiet{}) {
		return "0s"
	}
	return fmt.Sprintf("%v:%v", q.For, q.AtMost)
}

// due returns when to act on changes of which these are the first and the
// last.
func (q *Quiet) due(first, last time.Time) time.Time {
	quiet, latest := last.Add(q.For), first.Add(q.AtMost)
	if latest.Before(quiet) {
		return latest
	}
	return quiet
}
