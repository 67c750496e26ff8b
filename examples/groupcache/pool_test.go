//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/golang/groupcache/consistenthash"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

// pool is a discovery server, and caches that run as processes.
type pool struct {
	t      *testing.T
	server *gopherdiscovery.DiscoveryServer
	caches map[string]*clitest.Program // by URL
}

func newPool(t *testing.T, caches int) *pool {
	t.Helper()
	p := &pool{t: t, caches: make(map[string]*clitest.Program)}
	p.server = clitest.StartServer(t, "tcp://127.0.0.1:0", "tcp://127.0.0.1:0", gopherdiscovery.Options{})
	for range caches {
		p.add()
	}
	p.awaitPeers()
	return p
}

func (p *pool) add() (url string) {
	p.t.Helper()
	_, urlPubSub := p.server.URLs()
	return p.addWith("-pubsub", urlPubSub, "-timeout", patient.String())
}

// patient is how long caches wait for each other. It is so long that a slow
// machine does not look like one that hangs.
const patient = 5 * time.Second

// addWith adds a cache with the given flags.
func (p *pool) addWith(args ...string) (url string) {
	p.t.Helper()
	urlServer, _ := p.server.URLs()
	c := clitest.Start(p.t, append([]string{"-server", urlServer, "-http", "127.0.0.1:0", "-log-level", "error"}, args...)...)
	url = c.Stdout.Await(`^http://127\.0\.0\.1:\d+$`)[0]
	p.caches[url] = c
	return url
}

// kill ends the cache without giving it time for anything.
func (p *pool) kill(url string) {
	p.t.Helper()
	c := p.caches[url]
	delete(p.caches, url)
	c.Signal(syscall.SIGKILL)
	c.Wait()
}

// end ends all caches as a user would, and checks that they ended without
// errors.
func (p *pool) end() {
	p.t.Helper()
	for _, c := range p.caches {
		c.Signal(syscall.SIGTERM)
	}
	for url, c := range p.caches {
		if _, stderr, code := c.Wait(); code != 0 || stderr != "" {
			p.t.Errorf("%s: exit code %d, stderr %q, want 0 and nothing", url, code, stderr)
		}
	}
}

func (p *pool) urls() []string {
	var urls []string
	for url := range p.caches {
		urls = append(urls, url)
	}
	slices.Sort(urls)
	return urls
}

// awaitPeers waits until each cache has the list of all of them.
func (p *pool) awaitPeers() {
	p.t.Helper()
	for _, c := range p.caches {
		c.Stdout.Await("^peers: " + regexp.QuoteMeta(strings.Join(p.urls(), " ")) + "$")
	}
}

// owner returns the owner of a key, according to the ring that groupcache uses.
func (p *pool) owner(key string) string {
	ring := consistenthash.New(50, nil)
	ring.Add(p.urls()...)
	return ring.Get(encode(key))
}

// ask asks all caches for the key at the same time.
func (p *pool) ask(key string) map[string]entry {
	p.t.Helper()
	answers := make(map[string]entry)
	var mu sync.Mutex // guards answers
	var asking sync.WaitGroup
	for url := range p.caches {
		asking.Go(func() {
			e, err := get(p.t.Context(), url, key)
			if err != nil || e.Key != key {
				p.t.Errorf("%s has answered %+v for %q, error %v", url, e, key, err)
			}
			mu.Lock()
			defer mu.Unlock()
			answers[url] = e
		})
	}
	asking.Wait()
	return answers
}

// wantLoadedOnce checks that each key is loaded once, by its owner, whichever
// cache is asked for it.
func (p *pool) wantLoadedOnce(keys []string) map[string]entry {
	p.t.Helper()
	before, loaded := p.loads(), make(map[string]entry)
	for _, key := range keys {
		for url, e := range p.ask(key) {
			if loaded[key] == (entry{}) {
				loaded[key] = e
			}
			if e != loaded[key] || e.LoadedBy != p.owner(key) {
				p.t.Errorf("%s has answered %+v for %q, want %+v from %s", url, e, key, loaded[key], p.owner(key))
			}
		}
	}
	if got := p.loads() - before; got != int64(len(keys)) {
		p.t.Errorf("%d loads of %d keys, want one each", got, len(keys))
	}
	return loaded
}

func (p *pool) loads() (sum int64) {
	p.t.Helper()
	for url := range p.caches {
		sum += p.stats(url).Loads
	}
	return sum
}

func (p *pool) stats(url string) (s stats) {
	p.t.Helper()
	answer, err := http.Get(url + "/stats")
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&s); err != nil {
		p.t.Fatal(err)
	}
	return s
}

func series(name string, n int) (keys []string) {
	for i := range n {
		keys = append(keys, fmt.Sprintf("%s-%d", name, i))
	}
	return keys
}

func (p *pool) sets() map[string]int64 {
	p.t.Helper()
	sets := make(map[string]int64)
	for url := range p.caches {
		sets[url] = p.stats(url).Sets
	}
	return sets
}
