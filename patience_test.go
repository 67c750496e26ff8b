package gopherdiscovery_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// hinder holds back what is sent to and from a client for a while.
func (w town) hinder(name string, d time.Duration) {
	w.Freeze("survey0/" + name)
	time.Sleep(d)
	w.Thaw("survey0/" + name)
}

// Of clients that are known to be slow a silence of 20 s is believed by nobody,
// though the others are fast.
func TestSlowClientsStay(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t)
		w.hinder("a3", 1500*time.Millisecond) // over the poll at 10 s
		chance := rand.New(rand.NewPCG(1, 2))
		for range 200 {
			time.Sleep(time.Duration(chance.IntN(int(20 * time.Second))))
			w.hinder("a3", time.Duration(chance.IntN(int(20*time.Second))))
		}
		lists.expect(t)
		if got := len(w.Conns("survey0/a3")); got != 1 {
			t.Errorf("got %d connections of the slow client, want 1", got)
		}
	})
}

// A client that has left once because it was slow is given the time that it
// took.
func TestSlownessIsLearnedFromALeave(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t)
		w.hinder("a3", 10*time.Second)
		time.Sleep(5 * time.Millisecond)
		lists.expect(t,
			delivered{14 * time.Second, "a0 a1 a2 a4 a5 a6 a7 a8 a9"},
			delivered{19 * time.Second, ten})
		for range 10 {
			time.Sleep(10 * time.Second)
			w.hinder("a3", 20*time.Second)
		}
		lists.expect(t)
	})
}

// All clients are slow now and then, each at its own times: two beside each
// other at most, which the server does not take for its own fault.
func TestSlowCrowdStays(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t)
		// Their first answers are slow too, as on a bad path.
		w.Freeze("survey0")
		time.Sleep(1500 * time.Millisecond)
		w.Thaw("survey0")
		synctest.Wait()
		done := make(chan struct{})
		for part := range 2 {
			chance := rand.New(rand.NewPCG(3, uint64(part)))
			go func() {
				for range 20 {
					for _, i := range chance.Perm(5) {
						name := fmt.Sprint("a", 5*part+i)
						w.hinder(name, time.Duration(chance.IntN(int(20*time.Second))))
						time.Sleep(time.Millisecond) // the same may be next
					}
				}
				done <- struct{}{}
			}()
		}
		<-done
		<-done
		lists.expect(t)
	})
}

// A client that has always answered at once, and hangs, leaves with the second
// survey that it misses. Others that are slow do not help it.
func TestHealthyClientThatHangs(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t)
		w.hinder("a5", 1500*time.Millisecond)
		time.Sleep(2*time.Second - 1) // the next poll but one is at 12.5 s
		w.Freeze("survey0/a3")
		time.Sleep(4*time.Second + 1) // they last a second each, and are 2 s apart
		lists.expect(t, delivered{16500 * time.Millisecond, "a0 a1 a2 a4 a5 a6 a7 a8 a9"})
		w.Thaw("survey0/a3")
		time.Sleep(5 * time.Millisecond) // lists are so far apart
		lists.expect(t, delivered{16505 * time.Millisecond, ten})
	})
}

// Many fall silent together, and nobody leaves: neither while they are silent
// nor when they go on. In 40 s the clients take the path for dead, and dial.
func TestMassSilence(t *testing.T) {
	for _, test := range []struct {
		name   string
		silent int
		lasts  time.Duration
		conns  int // of one of them, at the end
	}{
		{"three, 8 seconds", 3, 8 * time.Second, 1},
		{"three, 40 seconds", 3, 40 * time.Second, 2},
		{"most, 28 seconds", 8, 28 * time.Second, 1},
		{"most, 40 seconds", 8, 40 * time.Second, 2},
		{"all, 8 seconds", 10, 8 * time.Second, 1},
		{"all, 28 seconds", 10, 28 * time.Second, 1},
		{"all, 40 seconds", 10, 40 * time.Second, 2},
		{"all, 100 seconds", 10, 100 * time.Second, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 2 {
				gopherdiscovery.FakeTime(t, func(t *testing.T) {
					w, _, lists := crowded(t)
					for i := range test.silent {
						w.Freeze(fmt.Sprint("survey0/a", i))
					}
					time.Sleep(test.lasts)
					lists.expect(t)
					for i := range test.silent {
						w.Thaw(fmt.Sprint("survey0/a", i))
					}
					time.Sleep(10 * time.Minute)
					lists.expect(t)
					if got := len(w.Conns("survey0/a0")); got < test.conns || (test.conns == 1) != (got == 1) {
						t.Errorf("got %d connections of a client, want %d", got, test.conns)
					}
				})
			}
		})
	}
}

// No doubt lasts without end: those who were silent for 2 minutes have left.
// The first poll without them is at 10 s, and the polls end 3 s apart.
func TestMassSilenceWithoutEnd(t *testing.T) {
	for _, test := range []struct {
		name   string
		silent int
		want   string
	}{
		{"three", 3, "a3 a4 a5 a6 a7 a8 a9"},
		{"all", 10, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			gopherdiscovery.FakeTime(t, func(t *testing.T) {
				w, _, lists := crowded(t)
				for i := range test.silent {
					w.Freeze(fmt.Sprint("survey0/a", i))
				}
				time.Sleep(10 * time.Minute)
				lists.expectWithin(t, 130*time.Second, 133*time.Second, test.want)
			})
		})
	}
}
