package gopherdiscovery_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
)

// Whatever happens, subscribers that receive changes and subscribers that
// receive whole lists end up with the same list, and that list is right. On the
// way, no list lacks a client that never left. CHAOS says how many runs there
// are, and CHAOS_SEED is the seed of the only one.
func TestChangesComeToTheSameAsLists(t *testing.T) {
	seeds := make([]uint64, max(setting(t, "CHAOS"), 3))
	for i := range seeds {
		seeds[i] = rand.Uint64()
	}
	if seed := setting(t, "CHAOS_SEED"); seed != 0 {
		seeds = []uint64{seed}
	}
	for _, seed := range seeds {
		t.Logf("seed %d", seed)
		gopherdiscovery.FakeTime(t, func(t *testing.T) {
			c := newChaos(t, seed)
			for start := time.Now(); time.Since(start) < 20*time.Minute; {
				for range 20 {
					c.disturb()
					c.sleep(c.pause(3 * time.Second))
				}
				c.calm()
				c.expectTruth()
			}
			for name := range c.subs {
				c.expectForm(name)
			}
		})
	}
}

// setting returns the value of a variable of the environment, or zero.
func setting(t *testing.T, variable string) uint64 {
	t.Helper()
	value := cmp.Or(os.Getenv(variable), "0")
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// expectForm checks that a subscriber was served in the form that it is meant
// for, with messages of all kinds.
func (c *chaos) expectForm(name string) {
	c.t.Helper()
	kinds := make(map[byte]int)
	for n := range c.servers {
		for _, conn := range c.Conns(lists(n) + "/" + name) {
			for _, m := range conn.Down() {
				kinds[(m.Body + " ")[0]]++
			}
		}
	}
	inChanges := strings.HasPrefix(name, "changes")
	for _, kind := range []byte{welcome, list, change, beat} {
		if (kinds[kind] > 0) != inChanges {
			c.t.Errorf("%s was sent %d messages of kind %d", name, kinds[kind], kind)
		}
	}
}

// This is the same over TCP. There an old subscriber is slow: it reads only at
// the end of each round.
func TestChangesComeToTheSameAsListsOverTCP(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	server := startServer(t, quickOptions)
	_, pubsub := server.URLs()
	sub := subscribe(t, server)
	plain := sptest.Dial(t, pubsub, sptest.Sub, sptest.Pub)
	clients := make(map[string]*gopherdiscovery.DiscoveryClient)
	for round := range 5 {
		for step := range 20 {
			if names := slices.Collect(maps.Keys(clients)); len(names) > 0 && random.IntN(3) == 0 {
				name := names[random.IntN(len(names))]
				clients[name].Close()
				delete(clients, name)
				continue
			}
			name := fmt.Sprintf("client%d.%d", round, step)
			clients[name] = announce(t, server, name)
		}
		want := slices.Sorted(maps.Keys(clients))
		eventually(t, "the subscriber in changes has the list of all", func() bool {
			return slices.Equal(sub.List(), want)
		})
		for string(plain.MustReceive(t)) != strings.Join(want, "|") {
		}
	}
}
