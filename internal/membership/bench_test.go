package membership

import (
	"fmt"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/testclock"
)

// BenchmarkEvents measures single events, each with a call of Next. The time
// must not depend on the number of names.
func BenchmarkEvents(b *testing.B) {
	for _, names := range []int{100, 10000} {
		for _, bench := range []struct {
			name string
			do   func(s *Schedule[int], n int, now time.Time)
		}{
			{"answer", func(s *Schedule[int], n int, now time.Time) { _ = s.Hear(n%names, fmt.Sprint(n%names), now) }},
			{"join and goodbye", func(s *Schedule[int], _ int, now time.Time) {
				s.Connect(-1, "host", now)
				s.Next(now)
				_ = s.Hear(-1, "new", now)
				s.Next(now)
				s.Leave(-1, "new", now)
				s.Disconnect(-1, false, now)
			}},
			{"end and return", func(s *Schedule[int], n int, now time.Time) {
				c := n % names
				s.Disconnect(c, false, now)
				s.Next(now)
				s.Connect(c, "host", now)
				s.Next(now)
				_ = s.Hear(c, fmt.Sprint(c), now)
			}},
		} {
			b.Run(fmt.Sprint(bench.name, ", ", names, " names"), func(b *testing.B) {
				s, now := strangers(names)
				for n := 0; b.Loop(); n++ {
					now = now.Add(20 * ms)
					bench.do(s, n, now)
					s.Next(now)
				}
			})
		}
	}
}

// strangers returns a schedule with names, each on a connection of its own, and
// with as many connections that have announced nothing.
func strangers(names int) (*Schedule[int], time.Time) {
	now := testclock.New().At(0)
	s := New[int](Config{PollTime: 1000 * time.Hour}.withDefaults(), now)
	for id := range names {
		s.Connect(id, fmt.Sprint("host", id), now)
		s.Connect(names+id, "stranger", now)
	}
	s.Next(now)
	for id := range names {
		_ = s.Hear(id, fmt.Sprint(id), now)
	}
	now = now.Add(10 * time.Second)
	s.Next(now)
	return s, now
}
