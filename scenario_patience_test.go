package gopherdiscovery_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// slowDown delays the traffic to and from a client by a while.
func (w fakeCluster) slowDown(name string, d time.Duration) {
	w.Freeze("survey0/" + name)
	time.Sleep(d)
	w.Thaw("survey0/" + name)
}

// Clients known to be slow stay on the list through a silence of 20 s, although
// the others are fast.
func TestSlowClientsStay(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t)
		w.slowDown("a3", 1500*time.Millisecond) // over the poll at 10 s
		chance := rand.New(rand.NewPCG(1, 2))
		for range 200 {
			time.Sleep(time.Duration(chance.Int64N(int64(20 * time.Second))))
			w.slowDown("a3", time.Duration(chance.Int64N(int64(20*time.Second))))
		}
		lists.expect(t)
		w.ExpectConns(t, "survey0/a3", len(w.Conns("survey0/a3")), 1)
	})
}

// A client that was dropped once because it was slow is given the time that it
// took.
func TestSlownessIsLearnedFromALeave(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		// The name leaves before its client doubts the server, at 14 s.
		opt := bubbleOptions
		opt.SurveyTime = 900 * time.Millisecond
		w, _, lists := crowdedWith(t, opt)
		w.Freeze("survey0/a3")
		time.Sleep(10*time.Second - 1)
		lists.expect(t, delivered{13800 * time.Millisecond, "a0 a1 a2 a4 a5 a6 a7 a8 a9"})
		time.Sleep(time.Nanosecond)
		w.Thaw("survey0/a3")
		time.Sleep(5 * time.Millisecond)
		lists.expectWithin(t, 19*time.Second, 19*time.Second+5*time.Millisecond, ten)
		for range 10 {
			time.Sleep(10 * time.Second)
			w.slowDown("a3", 20*time.Second)
		}
		lists.expect(t)
	})
}

// All clients are slow now and then, at different times. At most two of them
// are slow together, for which the server does not blame itself.
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
						w.slowDown(name, time.Duration(chance.Int64N(int64(20*time.Second))))
						// The next client may be the same one.
						time.Sleep(time.Millisecond)
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

// A client that has always answered at once, and then hangs, leaves with the
// second survey that it misses. That others are slow does not help it.
func TestHealthyClientThatHangs(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w, _, lists := crowded(t)
		w.slowDown("a5", 1500*time.Millisecond)
		time.Sleep(2*time.Second - 1) // the next poll but one is at 12.5 s
		w.Freeze("survey0/a3")
		// The polls last a second each, and are 2 s apart.
		time.Sleep(4*time.Second + 1)
		lists.expect(t, delivered{16500 * time.Millisecond, "a0 a1 a2 a4 a5 a6 a7 a8 a9"})
		w.Thaw("survey0/a3")
		lists.expect(t, delivered{16500 * time.Millisecond, ten})
	})
}

// Many clients fall silent together, for less than 30 s. No one leaves the
// list, neither during the silence nor after it. The clients doubt their
// connections, and keep one each.
func TestMassSilence(t *testing.T) {
	for _, test := range []struct {
		name   string
		silent int
		lasts  time.Duration
	}{
		{"three, 8 seconds", 3, 8 * time.Second},
		{"three, 28 seconds", 3, 28 * time.Second},
		{"most, 28 seconds", 8, 28 * time.Second},
		{"all, 8 seconds", 10, 8 * time.Second},
		{"all, 28 seconds", 10, 28 * time.Second},
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
					w.ExpectConns(t, "survey0/a0", len(w.Conns("survey0/a0")), 1)
				})
			}
		})
	}
}

// The server's doubt has a limit: clients that were silent for 30 s leave the
// list. The first poll without them is at 10 s.
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
				lists.expect(t, delivered{40 * time.Second, test.want})
			})
		})
	}
}
