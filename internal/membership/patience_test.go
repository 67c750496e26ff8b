package membership

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// Clients known to be slow stay on the list through a silence of 20 s, although
// the others are fast.
func TestSlowClientsStay(t *testing.T) {
	p := crowd(t, 10, Config{})
	p.steps("11500 hang 3; 13000 wake 3")
	at, chance := 20000, rand.New(rand.NewPCG(1, 2))
	for range 200 {
		p.steps(fmt.Sprintf("%d hang 3", at))
		at += chance.IntN(20000)
		p.steps(fmt.Sprintf("%d wake 3", at))
		at += chance.IntN(20000)
	}
	p.run(at)
	p.expect()
}

// A client that was dropped once because it was slow is given the time that it
// took.
func TestSlownessIsLearnedFromALeave(t *testing.T) {
	p := crowd(t, 10, Config{})
	p.steps("11500 hang 3; 21500 wake 3")
	for at := 30000; at < 300000; at += 30000 {
		p.steps(fmt.Sprintf("%d hang 3; %d wake 3", at, at+20000))
	}
	p.run(300000)
	p.expect("16000 -3", "21500 +3")
}

// All clients are slow now and then, at different times. At most two of them
// are slow together, for which the server does not blame itself.
func TestSlowCrowdStays(t *testing.T) {
	p := crowd(t, 10, Config{})
	p.steps("11500 hang 0-9; 13000 wake 0-9")
	for part := range 2 {
		at, chance := 20000, rand.New(rand.NewPCG(3, uint64(part)))
		for range 20 {
			for _, id := range chance.Perm(5) {
				p.steps(fmt.Sprintf("%d hang %d", at, 5*part+id))
				at += chance.IntN(20000)
				p.steps(fmt.Sprintf("%d wake %d", at, 5*part+id))
				at++
			}
		}
	}
	p.run(1200000)
	p.expect()
}

// Many fall silent together. None leaves within 30 s, and each is back at once.
// A client that was silent so long is given as long again.
func TestMassSilence(t *testing.T) {
	three := "-0 -1 -2"
	for _, test := range []played{
		{"three for 8 s", 10, Config{}, "11500 hang 0-2; 19500 wake 0-2", nil},
		{"three for 30 s", 10, Config{}, "11500 hang 0-2; 41999 wake 0-2", nil},
		{"three for longer", 10, Config{}, "11500 hang 0-2; 42001 wake 0-2", []string{"42000 " + three, "42001 +0 +1 +2"}},
		{"three, twice", 10, Config{}, "11500 hang 0-2; 41999 wake 0-2; 60000 hang 0-2; 89000 wake 0-2", nil},
		{"three, but one is back", 10, Config{}, "11500 hang 0-2; 20000 wake 0", []string{"42000 -1 -2"}},
		{"all for 30 s", 10, Config{}, "11500 hang 0-9; 41999 wake 0-9", nil},
		{"all for good", 4, Config{}, "11500 hang 0-3", []string{"42000 -0 -1 -2 -3"}},
		{
			"others become silent later", 10, Config{}, "11500 hang 0-2; 25500 hang 3; 35000 wake 0-2",
			[]string{"57000 -3"},
		},
		{"some slow before", 10, Config{}, "11500 hang 0-2; 20000 wake 0-2; 30000 hang 9", []string{"61000 -9"}},
	} {
		test.run(t)
	}
}

// No one is considered to have missed a doubted poll, and the doubt ends with
// an answer.
func TestDoubts(t *testing.T) {
	s := newScript(t, Config{ReturnTime: time.Second})
	s.connect(0, 0, 1, 2, 3)
	s.expect(0, "ask 0 1 2 3; wake 1000")
	for id := range 4 {
		s.hear(0, id, fmt.Sprint(id))
	}
	s.expect(1000, "publish 0 1 2 3; wake 2000")
	s.expect(2000, "poll; wake 3000")
	s.expect(3000, "doubted; wake 5000")
	for id := range 4 {
		s.hear(3001, id, fmt.Sprint(id))
	}
	s.expect(5000, "poll; wake 6000")
	for id := range 4 {
		s.hear(5001, id, fmt.Sprint(id))
	}
	s.expect(5001, "wake 7001")
	s.expect(7001, "poll; wake 8001")
	s.hear(7002, 0, "0")
	s.hear(7002, 1, "1")
	s.expect(8001, "missed 2; wake 10001")
	s.expect(10001, "poll; wake 11001")
	s.hear(10002, 0, "0")
	s.expect(11001, "doubted; wake 13001") // 1 and 2 have missed two polls
	s.hear(11002, 1, "1")
	s.hear(11002, 2, "2")
	s.expect(13001, "poll; wake 14001")
}

// The slowest answer is forgotten bit by bit.
func TestPresenceForgets(t *testing.T) {
	var p presence
	p.recordDuration(time.Hour)
	if p.slowest != maxSilence || p.patience(0) != maxSilence {
		t.Errorf("after an hour: got %v, patience %v, want 30s", p.slowest, p.patience(0))
	}
	answers := 0
	for ; p.patience(0) == maxSilence; answers++ {
		p.recordDuration(0)
	}
	if answers != 265 {
		t.Errorf("patience is shorter after %d fast answers, want 265", answers)
	}
	if p.patience(1) != maxSilence {
		t.Errorf("doubted: got patience %v, want 30s", p.patience(1))
	}
	p.answeredPoll = 1
	if p.patience(1) == maxSilence {
		t.Error("still doubted after an answer")
	}
}
