package membership

import (
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/testclock"
)

// A connection whose answer is being checked is not silent. Once the check is
// over, it is surveyed as usual.
func TestCheck(t *testing.T) {
	for _, test := range []played{
		{"for ten minutes", 10, Config{}, "11000 check 3; 11000 hang 3", nil},
		{"of all for two minutes", 10, Config{}, "11000 check 0-9; 11000 hang 0-9; 131000 wake 0-9; 131000 refuse 0-9", nil},
		{"and then silence", 10, Config{}, "11000 check 3; 11000 hang 3; 131000 refuse 3", []string{"136000 -3"}},
		{"in a poll, and then silence", 10, Config{}, "11000 hang 3; 12050 check 3; 13000 refuse 3", []string{"18050 -3"}},
		{"and then an answer", 10, Config{}, "11000 check 3; 131000 refuse 3", nil},
		{"and then another name", 10, Config{}, "11000 check 3; 11000 hang 3; 13001 say 3; 13001 refuse 4", []string{"13001 +said", "18000 -3 -said"}},
		{"and its end", 10, Config{}, "11000 check 3; 131000 break 3", []string{"131020 -3"}},
		{"and its end with others", 3, Config{}, "11000 check 0-2; 131000 break 0-2; 132000 join 0", []string{"137000 -1 -2"}},
		{"of a connection that is gone", 10, Config{}, "11000 break 3; 11010 check 3; 11010 refuse 3", []string{"11020 -3"}},
	} {
		test.run(t)
	}
}

// A name that is withdrawn ends the check too.
func TestCheckEndsWithALeave(t *testing.T) {
	for _, name := range []string{"3", "not listed"} {
		t.Run(name, func(t *testing.T) {
			p := crowd(t, 10, Config{})
			p.client(3).names = append(p.client(3).names, "device")
			p.steps("11000 join 3; 12500 check 3")
			p.run(12500)
			p.told = nil
			p.on(12600, func() { p.Leave(p.client(3).conn, name, p.At(p.now)) })
			p.steps("12700 hang 3")
			p.run(60000)
			if got := p.roster.names["device"]; got != nil {
				t.Error("a client that hangs is still listed after 47 s, want it dropped")
			}
		})
	}
}

// A check counts as an answer when it begins. What it takes is not the client's
// time.
func TestCheckIsAnAnswer(t *testing.T) {
	s := newScript(t, Config{})
	s.connect(0, 1, 2)
	s.expect(0, "ask 1 2; wake 2000")
	s.hear(0, 1, "a")
	s.hear(0, 2, "b")
	s.expect(2000, "poll; publish incomplete a b; wake 3000")
	s.Check(1, "a", s.At(2300))
	s.expect(2300, "wake 3000")
	s.hear(2400, 2, "b")
	s.expect(2400, "wake 4400")
	if got := s.roster.conns[1].names["a"].slowest; got != 300*ms {
		t.Errorf("got %v as the slowest answer, want 300ms", got)
	}
	s.expect(4400, "poll; wake 5000")
	s.hear(4401, 2, "b")
	s.expect(4401, "wake 5000")
	s.hear(4800, 1, "a")
	s.expect(4800, "wake 5000")
	if got := s.roster.conns[1].names["a"].slowest; got > 300*ms {
		t.Errorf("after the check: got %v as the slowest answer, want 300ms at most", got)
	}
}

// Names behind a device have one connection. A check excuses those whose
// answers may not have been read, and no others.
func TestCheckOfADevice(t *testing.T) {
	for _, test := range []struct {
		name   string
		checks [2]int // from when to when, in milliseconds after each poll
		says   bool   // the other name answers after the check
		want   int    // names left after a minute
	}{
		{"that ends at once", [2]int{10, 11}, false, 1},
		{"that ends at once, and then an answer", [2]int{10, 11}, true, 2},
		{"that lasts until after the poll", [2]int{10, 1500}, false, 1},
		{"that lasts until after the poll, and then an answer", [2]int{10, 1500}, true, 2},
		{"that lasts until the next poll", [2]int{10, 60000}, false, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock := testclock.New()
			s := New[int](Config{SurveyTime: 1000 * ms, PollTime: 2000 * ms}.withDefaults(), clock.At(0))
			s.Connect(1, "host", clock.At(0))
			_ = s.Hear(1, "checked", clock.At(0))
			_ = s.Hear(1, "other", clock.At(0))
			polled := -60000
			for now := range 60000 {
				switch now - polled {
				case test.checks[0]:
					s.Check(1, "checked", clock.At(now))
				case test.checks[1]:
					_ = s.Hear(1, "checked", clock.At(now))
					if test.says {
						_ = s.Hear(1, "other", clock.At(now))
					}
				}
				s.Woke(clock.At(now))
				if do, _ := s.Next(clock.At(now)); do.Poll && now-polled > test.checks[1] {
					polled = now
				}
			}
			if got := s.List(); len(got) != test.want {
				t.Errorf("got list %q, want %d names", got, test.want)
			}
		})
	}
}
