//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

// promptly is the time within which each request must be answered. The tests
// that measure it are not parallel.
const promptly = time.Second

func wantPrompt(t *testing.T, url, key string) {
	t.Helper()
	start := time.Now()
	e, err := get(t.Context(), url, key)
	if took := time.Since(start); err != nil || e.Key != key || took > promptly {
		t.Errorf("%s has answered %+v for %q after %v, error %v, want it within %v", url, e, key, took, err, promptly)
	}
}

// clients ask all caches of a pool for new keys until they are stopped.
type clients struct {
	asking sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	caches  []string
	asked   int
	stopped bool
}

func (c *clients) next() (url, key string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	// The newest cache gets half of the requests.
	url = c.caches[len(c.caches)-1]
	if c.asked%2 == 0 {
		url = c.caches[rand.IntN(len(c.caches))]
	}
	return url, fmt.Sprintf("new-%d", c.asked), !c.stopped
}

func (c *clients) add(url string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.caches = append(c.caches, url)
}

// stop stops the clients, and returns the keys that they asked for.
func (c *clients) stop() (keys []string) {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	c.asking.Wait()
	return series("new", c.asked)
}

// The lists differ for a moment whenever a cache joins, and the first list of
// the new cache may lack that cache.
func TestJoinsUnderLoad(t *testing.T) {
	p := newPool(t, 1)
	c := &clients{caches: p.urls()}
	for range 4 {
		c.asking.Go(func() {
			for url, key, ok := c.next(); ok; url, key, ok = c.next() {
				wantPrompt(t, url, key)
			}
		})
	}
	for range 10 {
		c.add(p.add())
		p.awaitPeers()
	}
	keys := c.stop()
	for i, key := range keys {
		wantPrompt(t, c.caches[i%len(c.caches)], key)
	}
	p.end()
}

// Each cache gets a list with only the next cache, and the last one a list with
// only the first. If they did not add themselves, they would ask in a circle.
func TestListsThatDisagree(t *testing.T) {
	p := newPool(t, 0)
	var lists []*gopherdiscovery.DiscoveryServer
	var urls []string
	for range 3 {
		list := clitest.StartServer(t, "tcp://127.0.0.1:0", "tcp://127.0.0.1:0", gopherdiscovery.Options{})
		_, urlPubSub := list.URLs()
		lists = append(lists, list)
		urls = append(urls, p.addWith("-pubsub", urlPubSub, "-timeout", patient.String()))
	}
	for i, url := range urls {
		next := urls[(i+1)%len(urls)]
		urlServer, _ := lists[i].URLs()
		clitest.Join(t, clitest.Quiet, urlServer, next)
		p.caches[url].Stdout.Await("^peers: .*" + regexp.QuoteMeta(next))
	}
	for _, key := range series("key", 100) {
		var asking sync.WaitGroup
		for _, url := range urls {
			asking.Go(func() { wantPrompt(t, url, key) })
		}
		if asking.Wait(); t.Failed() {
			break // each of the others would take as long
		}
	}
	p.end()
}

// A hung owner stays in the list for some seconds.
func TestOwnerHangs(t *testing.T) {
	p := newPool(t, 0)
	_, urlPubSub := p.server.URLs()
	for range 2 {
		p.addWith("-pubsub", urlPubSub)
	}
	p.awaitPeers()
	hung, other := p.urls()[0], p.urls()[1]
	p.caches[hung].Signal(syscall.SIGSTOP)
	// On a busy machine it may still answer some requests.
	asked := 0
	for _, key := range series("key", 200) {
		if p.owner(key) != hung {
			continue
		}
		wantPrompt(t, other, key)
		if asked++; asked >= 3 && p.stats(other).Strays > 0 {
			break
		}
	}
	if s := p.stats(other); s.Strays == 0 {
		t.Errorf("%d keys of the hung cache: %+v, want some that could not be fetched", asked, s)
	}
	p.caches[hung].Signal(syscall.SIGCONT)
	p.end()
}
