package membership

import (
	"time"

	"github.com/dahernan/gopherdiscovery/internal/times"
)

// start decides when the list is complete after the start of the server. It has
// no clock: callers pass the time.
type start struct {
	complete   bool
	returnTime time.Duration
	at         time.Time // when the list becomes complete, unless clients are coming in
	latest     time.Time // when it does in any case
}

func newStart(c Config, now time.Time) start {
	at := now.Add(c.ReturnTime)
	return start{returnTime: c.ReturnTime, at: at, latest: at.Add(LongestWait)}
}

// stop records that the server was stopped until now. Clients may have given it
// up, and are given time to return.
func (s *start) stop(now time.Time) {
	s.at = times.Earliest(now.Add(s.returnTime), s.latest)
}

// endIfOver ends the start if it is over. It returns true if it ends now.
func (s *start) endIfOver(now time.Time, comingIn bool) bool {
	was := s.complete
	s.complete = was || !now.Before(s.at) && (!comingIn || !now.Before(s.latest))
	return s.complete != was
}

// dueAt returns when the list may become complete, or zero if it is.
func (s *start) dueAt() time.Time {
	if s.complete {
		return time.Time{}
	}
	return s.at
}
