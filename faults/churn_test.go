//go:build linux

package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

const churnTime = 45 * time.Second

// For a while clients and servers are killed and started at random. Afterwards
// everyone has the right list. The 22 clients that are left alone never leave
// the list.
func TestChurn(t *testing.T) {
	long(t)
	withServers(t, []int{1, 2, 3}, func(t *testing.T, n int) {
		w := newWorld(t, n, quick)
		seed := rand.Uint64()
		chance := rand.New(rand.NewPCG(seed, 0))
		t.Logf("seed %d", seed)
		churned := slices.Clone(w.clients[crowds/2:])
		for _, p := range churned {
			w.declare(unsure, p.order.Clients, w.sides...)
		}
		events, servers := 0, 0
		for end := time.Now().Add(churnTime); time.Now().Before(end); events++ {
			if chance.IntN(10) == 0 {
				w.restartServer(chance)
				servers++
				continue
			}
			i := chance.IntN(len(churned))
			switch p := churned[i]; {
			case p.killed:
				churned[i], _ = w.revive(p)
			case chance.IntN(2) == 0:
				w.kill(p)
			default:
				w.leave(p)
			}
			// This is the pace of the churn.
			time.Sleep(time.Duration(chance.IntN(int(200 * time.Millisecond))))
		}
		last := time.Now()
		// The last event may be the restart of a server.
		equal := w.awaitNames(last, redial+w.timing.returnTime())
		for _, p := range churned {
			if p.killed {
				w.revive(p)
			}
		}
		w.awaitServers(last)
		w.finish(fmt.Sprintf("%v of churn", churnTime), "the untouched never seem gone; in the end all lists are right",
			fmt.Sprintf("%d clients and %d servers killed or started", events-servers, servers), after("all lists right", equal))
	})
}

// restartServer kills a server and starts it again a little later. It returns
// when the server lists the untouched clients. If all servers were restarted
// faster than that, no server would know them.
func (w *world) restartServer(chance *rand.Rand) {
	w.t.Helper()
	// A subscriber without a list would be sent the list of a server that has
	// only just started, as far as that server knows it.
	w.eventually(w.withoutList)
	p := w.servers[chance.IntN(len(w.servers))]
	w.kill(p)
	time.Sleep(time.Duration(chance.IntN(int(time.Second))))
	w.revive(p)
	w.eventually(w.unlisted)
}
