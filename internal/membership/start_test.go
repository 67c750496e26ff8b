package membership

import (
	"fmt"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/testclock"
)

// The list is complete ReturnTime after the start, unless clients are coming
// in, and five minutes later in any case.
func TestComplete(t *testing.T) {
	clock := testclock.New()
	for _, test := range []struct {
		name       string
		config     Config
		handshakes func(now int) Handshakes
		steps      string
		want       []string
	}{
		{"no clients", Config{}, nil, "", []string{"5000 complete"}},
		{"clients", Config{}, nil, "0 join 0; 4000 join 1", []string{"0 +0", "4000 +1", "5000 complete"}},
		{"a short ReturnTime", Config{ReturnTime: 300 * ms}, nil, "0 join 0", []string{"0 +0", "300 complete"}},
		{"a long PollTime", rare, nil, "", []string{"5000 complete"}},
		{"newcomers in polls only", Config{PollTime: time.Minute, JoinInterval: -1}, nil, "1 join 0", []string{"5000 complete", "60000 +0"}},
		{"a newcomer that does not answer", Config{}, nil, "4800 join 0; 0 hang 0", []string{"5800 complete"}},
		{"a newcomer that did not answer before", Config{}, nil, "3900 join 0; 0 hang 0", []string{"5000 complete"}},
		{"a newcomer that answers", Config{}, nil, "4990 join 0", []string{"4990 +0", "5000 complete"}},
		{"a newcomer that is not asked yet", Config{}, nil, "4990 join 0; 4995 join 1", []string{"4990 +0", "5010 +1 complete"}},
		{"a handshake that waits", Config{}, waiting(0, 7010), "", []string{"7020 complete"}},
		{"handshakes that wait without end", Config{}, waiting(0, 1e9), "", []string{"305000 complete"}},
		{
			"a handshake that had to wait", Config{},
			func(int) Handshakes { return Handshakes{Late: clock.At(4900)} }, "", []string{"6000 complete"},
		},
		{"ends and leaves", Config{}, nil, "0 join 0-4; 1000 break 0; 2000 leave 1", []string{"0 +0 +1 +2 +3 +4", "1020 -0", "2000 -1", "5000 complete"}},
		{"a mass departure", Config{}, nil, "0 join 0-4; 3000 break 0-3", []string{"0 +0 +1 +2 +3 +4", "5000 complete", "8000 -0 -1 -2 -3"}},
		{"a stop", Config{}, nil, "2000 stop 10000", []string{"17000 complete"}},
		{"a stop of an hour", Config{}, nil, "2000 stop 3600000", []string{"3607000 complete"}},
		{"a stop of the first moment", Config{}, nil, "0 stop 1000", []string{"6000 complete"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPlay(t, test.config)
			p.handshakes = test.handshakes
			if test.steps != "" {
				p.steps(test.steps)
			}
			p.run(int(2 * time.Hour / ms))
			p.expect(test.want...)
		})
	}
}

// A server that is stopped again and again at its start is complete in the end.
func TestCompleteAfterManyStops(t *testing.T) {
	p := newPlay(t, rare)
	for at := 1000; at < 1000000; at += 3000 {
		p.steps(fmt.Sprintf("%d stop 900", at))
	}
	for at := 0; !p.IsComplete() && at < 1000000; at++ {
		p.run(at)
	}
	// It runs for at least 2.1 s of 3 s.
	if at := p.now; at < 305000 || at > 305000*30/21 {
		t.Errorf("complete at %d ms, want it after 305 s of running time", at)
	}
}

// A list that is complete stays complete, whatever happens.
func TestCompleteIsNeverTakenBack(t *testing.T) {
	p := crowd(t, 10, Config{})
	p.handshakes = waiting(0, 1e9)
	p.steps("11000 break 0-9; 12000 join 0-9; 13000 stop 10000; 24000 break 0-9; 30000 stop 900; 31000 join 20; 40000 stop 90000; 131000 leave 20")
	for at := 10000; at < 200000; at += 10 {
		if p.run(at); !p.IsComplete() {
			t.Fatalf("incomplete at %d ms", at)
		}
	}
}

// The server looks at the handshakes only when that can make a difference.
func TestNeedsHandshakes(t *testing.T) {
	p := newPlay(t, Config{})
	for _, step := range []struct {
		at   int
		act  string
		want bool
	}{
		{0, "0 join 0-9", true},
		{4999, "", true},
		{5000, "", false},
		{11000, "11000 break 0", false},
		{12000, "12000 break 1-7", true},
		{16999, "", true},
		{17000, "", false},
		{18000, "17500 hang 8", true},
		{19000, "", false},
	} {
		if step.act != "" {
			p.steps(step.act)
		}
		p.run(step.at)
		if got := p.NeedsHandshakes(); got != step.want {
			t.Errorf("at %d ms: got %t, want %t", step.at, got, step.want)
		}
	}
}

// Something comes in when a connection does, a handshake, or a new name.
func TestArrived(t *testing.T) {
	s := newScript(t, Config{})
	s.Expect(t, "at the start", s.Arrived(), -1)
	s.connect(100, 1)
	s.Expect(t, "after a connection", s.Arrived(), 100)
	s.expect(100, "ask 1; wake 2000")
	s.hear(110, 1, "a")
	s.Expect(t, "after a name", s.Arrived(), 110)
	s.hear(120, 1, "a")
	s.Expect(t, "after the name once more", s.Arrived(), 110)
	s.hear(130, 1, "b")
	s.Expect(t, "after another name", s.Arrived(), 130)
	s.SetHandshakes(Handshakes{Began: s.At(140)})
	s.Expect(t, "after a handshake", s.Arrived(), 140)
	s.connect(150, 2)
	s.end(160, 1)
	s.Expect(t, "after an end", s.Arrived(), 150)
}
