//go:build unix

package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

func TestEachKeyIsLoadedOnce(t *testing.T) {
	t.Parallel()
	p := newPool(t, 3)
	// The unusual keys would not get through the path of a URL as they are.
	keys := append(series("key", 100), "a b", "a+b", "..", "../..", "a//b", "/", "?", "#", "100%", "%2F", "ü", "\x00")
	p.wantLoadedOnce(keys)
	for url := range p.caches {
		s := p.stats(url)
		if s.Strays != 0 || s.Loads+s.Fetches+s.Hits < int64(len(keys)) {
			t.Errorf("%s: %+v, want no key that could not be fetched", url, s)
		}
	}
	answer, err := http.Get(p.urls()[0] + "/get")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusBadRequest {
		t.Errorf("without a key: %s, want %d", answer.Status, http.StatusBadRequest)
	}
	p.end()
}

func TestKeysOfDeadPeersMove(t *testing.T) {
	t.Parallel()
	p := newPool(t, 3)
	keys := series("key", 100)
	before := p.wantLoadedOnce(keys)

	dead := p.urls()[1]
	others := slices.DeleteFunc(p.urls(), func(url string) bool { return url == dead })
	enough, stop := make(chan struct{}), make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := get(t.Context(), others[n%2], fmt.Sprintf("new-%d", n)); err != nil {
				t.Errorf("request %d: %v, want an answer all the time", n, err)
			}
			if n == 200 {
				close(enough)
			}
		}
	})
	<-enough
	p.kill(dead)
	p.awaitPeers()
	close(stop)
	asking.Wait()

	for _, key := range keys {
		for url, e := range p.ask(key) {
			// A cache that fetched a key from the dead cache may still have it
			// in its hot cache.
			kept := e == before[key]
			if !kept && (before[key].LoadedBy != dead || e.LoadedBy != p.owner(key)) {
				t.Errorf("%s has answered %+v for %q, want %+v or a load by %s", url, e, key, before[key], p.owner(key))
			}
		}
	}
	p.wantLoadedOnce(series("after", 100))
	p.end()
}

func TestKeysSpreadToTheNew(t *testing.T) {
	t.Parallel()
	p := newPool(t, 2)
	keys := series("key", 300)
	before := p.wantLoadedOnce(keys)

	newcomer := p.add()
	p.awaitPeers()
	spread := 0
	for _, key := range keys {
		owner := p.owner(key)
		if owner == newcomer {
			spread++
		}
		// A cache that has loaded a key before keeps it, and others may have it
		// in their hot caches. The newcomer had nothing.
		if e := p.ask(key)[newcomer]; e.LoadedBy != owner || owner != newcomer && e != before[key] {
			t.Errorf("the newcomer has answered %+v for %q, want it from %s, who loaded %+v", e, key, owner, before[key])
		}
	}
	if got := p.stats(newcomer).Loads; got != int64(spread) || spread == 0 {
		t.Errorf("the newcomer has loaded %d keys, want the %d that are its own", got, spread)
	}
	p.wantLoadedOnce(series("after", 100))
	p.end()
}

func TestSetOnlyWhenTheListChanges(t *testing.T) {
	t.Parallel()
	p := newPool(t, 3)
	before := p.sets()
	polls := p.server.Stats().Polls
	deadline := time.After(clitest.Patience)
	for p.server.Stats().Polls < polls+5 {
		select {
		case <-time.After(clitest.PollTime):
		case <-deadline:
			t.Fatalf("no 5 polls in %v", clitest.Patience)
		}
	}
	if got := p.sets(); !maps.Equal(got, before) {
		t.Errorf("sets %v after 5 polls, want %v as before", got, before)
	}

	urlServer, urlPubSub := p.server.URLs()
	_ = p.server.Close()
	// All are back within this ReturnTime, so no cache leaves the list.
	server, err := gopherdiscovery.Server(urlServer, urlPubSub, gopherdiscovery.Options{ReturnTime: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	clitest.AwaitList(t, clitest.Quiet, urlPubSub, p.urls()...)
	p.kill(p.urls()[0])
	p.awaitPeers()
	for url, got := range p.sets() {
		if want := before[url] + 1; got != want {
			t.Errorf("%s: %d sets after a restart of the server and the end of a cache, want %d: one more", url, got, want)
		}
	}
	p.end()
}

func TestDemoInterrupted(t *testing.T) { clitest.Interrupt(t, "groupcache", "^  c ") }
