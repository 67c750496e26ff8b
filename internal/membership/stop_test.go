package membership

import (
	"fmt"
	"testing"
	"time"
)

// rare is a configuration whose polls tell nothing about single seconds.
var rare = Config{PollTime: time.Minute}

// An end within a second after a stop of the server may have been caused by it.
func TestEndsAfterAStop(t *testing.T) {
	for _, test := range []played{
		{"at once", 10, rare, "11000 stop 900; 11900 break 3", []string{"16900 -3"}},
		{"during the stop", 10, rare, "11000 stop 900; 11500 break 3", []string{"16900 -3"}},
		{"a second later", 10, rare, "11000 stop 900; 12900 break 3", []string{"17900 -3"}},
		{"more than a second later", 10, rare, "11000 stop 900; 12901 break 3", []string{"12921 -3"}},
		{"two seconds later", 10, rare, "11000 stop 900; 13900 break 3", []string{"13920 -3"}},
		{"after a shorter stop", 10, rare, "11000 stop 500; 11500 break 3", []string{"11520 -3"}},
		{"back in time", 10, rare, "11000 stop 900; 11900 break 3; 16899 join 3", nil},
		{"the only one", 1, rare, "11000 stop 900; 11900 break 0", []string{"16900 -0"}},
		{"all of two", 2, rare, "11000 stop 900; 11900 break 0 1", []string{"46900 -0 -1"}},
		{"the last one", 2, rare, "11000 break 0; 11050 stop 900; 12200 break 1", []string{"11020 -0", "47200 -1"}},
		{"all, and one is back", 4, rare, "11000 stop 30000; 41000 break 0-3; 42000 join 0", []string{"47000 -1 -2 -3"}},
		{"gathered before", 10, rare, "10990 break 3; 10995 stop 5000; 15000 break 4", []string{"20975 -3", "20995 -4"}},
		{
			"again and again", 10, rare, "11000 stop 900; 14000 break 0; 14500 stop 900; 16500 break 1; 17000 stop 900; 20000 break 2",
			[]string{"14020 -0", "16520 -1", "20020 -2"},
		},
		{"joins and goodbyes go on", 10, rare, "11000 stop 900; 11950 join 20; 12000 leave 3", []string{"11950 +20", "12000 -3"}},
	} {
		test.run(t)
	}
}

// The time of a stop has not passed for what waits. A stop begins when the
// server should have run.
func TestStopMovesDepartures(t *testing.T) {
	for _, test := range []played{
		{"a single end", 10, rare, "11000 break 3; 11010 stop 9990", []string{"21000 -3"}},
		{"ends that follow", 10, rare, "11000 break 2; 11010 break 3; 11020 stop 10000", []string{"21020 -2 -3"}},
		{
			"ends that follow, and a join", 10, rare, "11000 break 2; 11010 break 3; 11011 join 20; 11015 join 21; 11020 stop 10000",
			[]string{"11011 +20", "21020 +21", "21099 -2 -3"},
		},
		{"a mass departure", 10, rare, "11000 break 0-6; 11100 stop 60000", []string{"75850" + most}},
		{"nobody is there", 4, rare, "11000 break 0-3; 11100 stop 60000", []string{"105850 -0 -1 -2 -3"}},
		{"one is back since", 4, rare, "11000 break 0-3; 14000 join 0; 15000 stop 60000", []string{"79000 -1 -2 -3"}},
	} {
		test.run(t)
	}
}

// A wait that ends more than 500 ms late shows that the process was stopped.
func TestStopIsNoticed(t *testing.T) {
	for _, test := range []struct {
		name string
		late int
		want bool
	}{
		{"early", -200, false},
		{"in time", 0, false},
		{"a little late", 50, false},
		{"half a second late", 500, false},
		{"later", 501, true},
		{"much later", 1000000, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t, Config{})
			s.connect(0, 1)
			s.expect(0, "ask 1; wake 2000")
			now := 250 + test.late
			s.Woke(s.At(now))
			s.hear(now, 1, "a")
			took := now
			if test.want {
				took -= test.late
			}
			if got := s.roster.conns[1].names["a"].slowest; got != time.Duration(took)*ms {
				t.Errorf("the client took %v to answer, want %d ms", got, took)
			}
		})
	}
}

// The server is called at least once in a tick, so that it notices stops while
// nothing is due.
func TestTick(t *testing.T) {
	s := newScript(t, Config{PollTime: time.Hour, ReturnTime: time.Hour})
	for _, now := range []int{0, 1, 100000} {
		if _, wake := s.Next(s.At(now)); !wake.Equal(s.At(now + 250)) {
			t.Errorf("at %d ms: got a call of Next at %d ms, want it 250 ms later", now, s.Millis(wake))
		}
	}
}

// A stop within a poll gives the clients the time that it took. So does one
// between polls.
func TestPollsAfterAStop(t *testing.T) {
	for _, test := range []struct {
		name string
		from int
		want []int
	}{
		{"between polls", 3000, []int{2000, 14000, 16100}},
		{"in a poll", 2050, []int{2000, 14050, 16150}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPlay(t, Config{})
			p.client(0).takes = 100
			p.steps(fmt.Sprintf("0 join 0; %d stop 10000", test.from))
			var polls []int
			for at := 0; at < 17000; at++ {
				before := p.roster.poll
				if p.run(at); p.roster.poll > before {
					polls = append(polls, at)
				}
			}
			if fmt.Sprint(polls) != fmt.Sprint(test.want) {
				t.Errorf("got polls at %d ms, want %d", polls, test.want)
			}
			if p.roster.conns[1].names["0"].silent > 0 {
				t.Error("the client is taken for silent")
			}
		})
	}
}
