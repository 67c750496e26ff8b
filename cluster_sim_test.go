package gopherdiscovery

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// No living client leaves a list, no dead one stays, and in the end everyone
// knows everyone, whatever happens to the servers, their clients and the
// network. CLUSTERS says how many clusters are simulated. CLUSTERS_SEED is the
// seed of one, of which all is printed.
func TestClusters(t *testing.T) {
	t.Parallel()
	if seed := os.Getenv("CLUSTERS_SEED"); seed != "" {
		n, err := strconv.ParseUint(seed, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		c := playCluster(n, true)
		t.Logf("%s\n%s", &c.clusterWorld, strings.Join(c.journal, "\n"))
		if c.oracle.failure != "" {
			t.Error(c.oracle.failure)
		}
		return
	}
	count := testmain.Rounds(200)
	if n := os.Getenv("CLUSTERS"); n != "" {
		count, _ = strconv.Atoi(n)
	}
	var next atomic.Uint64
	var all sync.WaitGroup
	var mu sync.Mutex
	passed, failed := make(map[string]int), []uint64{}
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for seed := next.Add(1); seed <= uint64(count); seed = next.Add(1) {
				c := playCluster(seed, false)
				mu.Lock()
				if c.oracle.failure == "" {
					passed[c.kind]++
				} else if failed = append(failed, seed); len(failed) <= 5 {
					c = playCluster(seed, true)
					tail := c.journal[max(0, len(c.journal)-40):]
					t.Errorf("%s\n%s\n%s", &c.clusterWorld, strings.Join(tail, "\n"), c.oracle.failure)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	t.Logf("passed: %v, failed: seeds %v", passed, failed)
}

// playCluster simulates the cluster of a seed, until it fails.
func playCluster(seed uint64, verbose bool) *clusterSim {
	c := newCluster(seed)
	c.verbose = verbose
	c.play()
	return c
}
