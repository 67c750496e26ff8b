package membership

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/testclock"
	"github.com/dahernan/gopherdiscovery/internal/times"
)

const ms = time.Millisecond

// withDefaults fills in the defaults of the options of a server.
func (c Config) withDefaults() Config {
	for _, field := range []struct {
		at *time.Duration
		is time.Duration
	}{
		{&c.SurveyTime, time.Second},
		{&c.RecvDeadline, c.SurveyTime},
		{&c.PollTime, 2 * time.Second},
		{&c.JoinInterval, 20 * ms},
		{&c.ReturnTime, 5 * time.Second},
	} {
		if *field.at == 0 {
			*field.at = field.is
		}
	}
	if c.RecvDeadline == 0 {
		c.RecvDeadline = c.SurveyTime
	}
	if c.MissedSurveys == 0 {
		c.MissedSurveys = 2
	}
	return c
}

// script drives a schedule by hand. Times are in milliseconds since its start.
type script struct {
	*Schedule[int]
	testclock.Clock
	t        *testing.T
	list     []string // as published last
	complete bool
}

func newScript(t *testing.T, c Config) *script {
	t.Helper()
	clock := testclock.New()
	return &script{Schedule: New[int](c.withDefaults(), clock.At(0)), Clock: clock, t: t}
}

// connect records connections, each from a host of its own.
func (s *script) connect(millis int, ids ...int) {
	for _, id := range ids {
		s.Connect(id, fmt.Sprint("host", id), s.At(millis))
	}
}

func (s *script) hear(millis int, id int, name string) {
	s.t.Helper()
	if err := s.Hear(id, name, s.At(millis)); err != nil {
		s.t.Errorf("at %d ms: %v", millis, err)
	}
}

func (s *script) end(millis int, ids ...int) {
	for _, id := range ids {
		s.Disconnect(id, false, s.At(millis))
	}
}

// expect calls Next and compares what is to be done, as in "poll; ask 1 2;
// publish a b; wake 2000". The time to wake leaves out the tick.
func (s *script) expect(millis int, want string) {
	s.t.Helper()
	do, wake := s.Next(s.At(millis))
	due := s.nextDueAt(s.At(millis))
	if limit := s.At(millis).Add(tick); !wake.Equal(times.Earliest(due, limit)) {
		s.t.Errorf("at %d ms: got a call of Next at %d ms, want it at %d ms, and within a tick", millis, s.Millis(wake), s.Millis(due))
	}
	var parts []string
	if do.Poll {
		parts = append(parts, "poll")
	}
	if len(do.Survey) > 0 {
		parts = append(parts, "ask "+strings.Trim(fmt.Sprint(do.Survey), "[]"))
	}
	if do.Doubted {
		parts = append(parts, "doubted")
	}
	if do.Missed > 0 {
		parts = append(parts, fmt.Sprintf("missed %d", do.Missed))
	}
	if list := s.List(); do.Publish && (s.IsComplete() != s.complete || !slices.Equal(list, s.list)) {
		s.list, s.complete = list, s.IsComplete()
		what := "publish "
		if !s.complete {
			what = "publish incomplete "
		}
		parts = append(parts, strings.TrimSpace(what+strings.Join(list, " ")))
	}
	if do.Forget {
		parts = append(parts, "returned")
	}
	parts = append(parts, fmt.Sprintf("wake %d", s.Millis(due)))
	if got := strings.Join(parts, "; "); got != want {
		s.t.Errorf("at %d ms: got %q, want %q", millis, got, want)
	}
}
