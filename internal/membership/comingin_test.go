package membership

import (
	"fmt"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/testclock"
)

// waiting returns handshakes that wait for the server from one time to another.
func waiting(from, to int) func(int) Handshakes {
	return func(now int) Handshakes { return Handshakes{Waiting: now >= from && now < to} }
}

// Clients that are coming in delay departures after a mass departure, for five
// minutes at most, and are looked for every 20 ms.
func TestComingInDelaysReturns(t *testing.T) {
	late := testclock.New()
	for _, test := range []struct {
		name       string
		handshakes func(now int) Handshakes
		steps      string
		want       []string
	}{
		{"nobody", waiting(0, 0), "", []string{"16000" + most}},
		{"a handshake that waits in time", waiting(11000, 15000), "", []string{"16000" + most}},
		{"a handshake that waits", waiting(11000, 17001), "", []string{"17020" + most}},
		{"and a client then", waiting(11000, 17001), "17001 join 0-5", []string{"17001 -6"}},
		{"handshakes that wait without end", waiting(11000, 1e9), "", []string{"316000" + most}},
		{
			"a handshake that had to wait",
			func(int) Handshakes { return Handshakes{Late: late.At(15500)} }, "", []string{"16600" + most},
		},
		{
			"a handshake that had to wait before",
			func(int) Handshakes { return Handshakes{Late: late.At(14900)} }, "", []string{"16000" + most},
		},
		{
			"handshakes that have to wait again and again",
			func(now int) Handshakes { return Handshakes{Late: late.At(now - now%1000)} }, "", []string{"316000" + most},
		},
		{"a newcomer", waiting(0, 0), "15800 join 20; 15800 hang 20", []string{"16800" + most}},
		{"a newcomer that answers", waiting(0, 0), "15800 join 20", []string{"15800 +20", "16000" + most}},
		{"a newcomer that ends", waiting(0, 0), "15800 join 20; 15800 hang 20; 16100 break 20", []string{"16100" + most}},
		{"a newcomer that is not asked yet", waiting(0, 0), "15990 join 20 21; 15995 join 0-6; 16001 leave 20 21", []string{"15990 +20 +21", "16001 -20 -21"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := crowd(t, 10, rare)
			p.handshakes = test.handshakes
			p.steps("11000 break 0-6")
			if test.steps != "" {
				p.steps(test.steps)
			}
			p.run(int(10 * time.Minute / ms))
			p.expect(test.want...)
		})
	}
}

// A client whose handshake waits may be one that seems to be silent. It has 30
// s to come. Newcomers delay no departure, since strangers may come without
// end.
func TestHandshakesDelaySilences(t *testing.T) {
	for _, test := range []struct {
		name       string
		handshakes func(now int) Handshakes
		steps      string
		want       string
	}{
		{"a handshake that waits in time", waiting(11000, 15900), "", "16000 -9"},
		{"a handshake that waits", waiting(15900, 16100), "", "19000 -9"},
		{"handshakes that wait without end", waiting(11000, 1e9), "", "42000 -9"},
		{"a newcomer", waiting(0, 0), "15800 join 20; 15800 hang 20", "16000 -9"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := crowd(t, 10, Config{})
			p.handshakes = test.handshakes
			p.steps("10500 hang 9")
			if test.steps != "" {
				p.steps(test.steps)
			}
			p.run(60000)
			p.expect(test.want)
		})
	}
}

// Clients that are coming in delay nothing else.
func TestComingInDelaysNothingElse(t *testing.T) {
	p := crowd(t, 10, Config{})
	p.handshakes = waiting(0, 1e9)
	p.SetHandshakes(p.handshakes(0))
	p.steps("11000 break 0; 12000 break 1 2; 13000 join 20; 14000 leave 3; 20000 break 4-8; 20030 join 21; 20040 leave 20; 30000 break 9; 30010 join 22")
	p.run(60000)
	p.expect("11020 -0", "12100 -1 -2", "13000 +20", "14000 -3", "20030 +21", "20040 -20", "30010 +22", "30020 -9")
	if !p.IsComplete() {
		t.Error("the list is not complete any more")
	}
}

// Strangers open connections, announce nothing, close them and do it again.
func TestStrangersDelayNothing(t *testing.T) {
	p := crowd(t, 5, Config{})
	for id := 20; id < 28; id++ {
		p.client(id).names = nil
	}
	for at := 11000; at < 60000; at += 50 {
		p.steps(fmt.Sprintf("%d join 20-27; %d break 20-27", at, at+30))
	}
	p.steps("20005 join 5; 30035 break 0; 40005 leave 1; 40010 break 2; 50045 join 0")
	p.run(70000)
	p.expect("20010 +5", "30055 -0", "40005 -1", "40030 -2", "50045 +0")
	if j := p.joins; len(j.asked)+len(j.newcomers) > 0 {
		t.Errorf("still remembered: asked %v, newcomers %v", j.asked, j.newcomers)
	}
}

// Fifty connections of 500 break in each second, and other clients come. Each
// leave is told within a second, and no join waits for leaves.
func TestChurn(t *testing.T) {
	p := crowd(t, 500, Config{})
	broke, joined := make(map[string]int), make(map[string]int)
	for n := range 400 {
		at := 11000 + 20*n
		p.steps(fmt.Sprintf("%d break %d", at, n))
		broke[fmt.Sprint(n)] = at
		p.steps(fmt.Sprintf("%d join %d", at+7, 1000+n))
		joined[fmt.Sprint(1000+n)] = at + 7
	}
	longest := 0
	for at := 11000; at < 25000; at++ {
		told := len(p.told)
		if p.run(at); len(p.told) == told {
			continue
		}
		now := make(map[string]bool)
		for _, name := range p.list {
			now[name] = true
		}
		for name, since := range broke {
			if !now[name] {
				longest = max(longest, at-since)
				delete(broke, name)
			}
		}
		for name, since := range joined {
			if now[name] {
				if at-since > 20 {
					t.Errorf("%s was published %d ms after it joined, want it within JoinInterval", name, at-since)
				}
				delete(joined, name)
			}
		}
	}
	if len(broke)+len(joined) > 0 {
		t.Errorf("%d have not left and %d have not come", len(broke), len(joined))
	}
	if longest != 1000 {
		t.Errorf("the slowest leave took %d ms, want 1000 ms", longest)
	}
}
