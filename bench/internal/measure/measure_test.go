package measure

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestPercentile(t *testing.T) {
	times := Times{40, 10, 30, 20}
	for percent, want := range map[float64]time.Duration{0: 10, 50: 20, 51: 30, 75: 30, 95: 40, 100: 40} {
		if got := times.Percentile(percent); got != want {
			t.Errorf("percentile %v is %d, want %d", percent, got, want)
		}
	}
	if got := (Times)(nil).Median(); got != 0 {
		t.Errorf("the median of nothing is %d, want 0", got)
	}
}

// A round ends when the last peer has seen its value.
func TestRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWatch(3)
		w.See(0, 7)
		round := w.Expect(7) // peer 0 has seen it
		time.Sleep(time.Second)
		w.See(1, 7)
		w.See(1, 7)
		w.See(2, 6)
		time.Sleep(time.Second)
		w.See(2, 7)
		time.Sleep(time.Second)
		if took, err := round.Wait(time.Second); took != 2*time.Second || err != nil {
			t.Errorf("got %v and error %v, want 2s", took, err)
		}
		if _, err := w.Expect(8).Wait(time.Second); err == nil {
			t.Error("no error although no peer has seen the value")
		}
		failed := errors.New("failed")
		w.Fail(failed)
		w.Fail(errors.New("again"))
		if _, err := w.Expect(9).Wait(time.Second); err != failed {
			t.Errorf("got error %v, want %v", err, failed)
		}
	})
}

// Whatever peers see while a round begins, each of them is counted once.
func TestRoundsBeginWhilePeersSee(t *testing.T) {
	const peers, rounds = 4, 1000
	w := NewWatch(peers)
	for value := range uint64(rounds) {
		var wg sync.WaitGroup
		for i := range peers {
			wg.Go(func() { w.See(i, value+1) })
		}
		if _, err := w.Expect(value + 1).Wait(Timeout); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
	}
}

func TestNamesDiffer(t *testing.T) {
	seen := make(map[string]bool)
	for _, name := range append(Names(10000), Newcomer(0), Newcomer(249), Newcomer(250)) {
		if seen[name] {
			t.Errorf("%s is twice", name)
		}
		seen[name] = true
	}
}

func TestUsage(t *testing.T) {
	if used, err := ProcessorTime(); err != nil && !errors.Is(err, errors.ErrUnsupported) || used < 0 {
		t.Errorf("processor time %v, error %v", used, err)
	}
	if bytes, err := Resident(); err != nil || bytes < 0 {
		t.Errorf("resident %d, error %v", bytes, err)
	}
}

func TestCheckList(t *testing.T) {
	want := []string{"a", "c"}
	if err := CheckList([]string{"a", "c"}, want); err != nil {
		t.Error(err)
	}
	for _, wrong := range [][]string{nil, {"a"}, {"a", "b", "c"}, {"a", "b"}, {"a", "a", "c"}} {
		if CheckList(wrong, want) == nil {
			t.Errorf("no error for %q, want %q", wrong, want)
		}
	}
}
