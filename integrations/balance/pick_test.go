package balance_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery/integrations/balance"
)

// counter counts requests by host. Those that are in down refuse.
type counter struct {
	down map[string]bool
	hits map[string]int
}

func newCounter() *counter {
	return &counter{down: make(map[string]bool), hits: make(map[string]int)}
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		c.hits[r.URL.Host]++
		if c.down[r.URL.Host] {
			return nil, errRefused
		}
		return respond(r, http.StatusOK), nil
	}).RoundTrip(r)
}

// wantHits sends n requests, and wants them to go to these hosts.
func (c *counter) wantHits(t *testing.T, transport *balance.Transport, n int, want map[string]int) {
	t.Helper()
	clear(c.hits)
	for range n {
		if _, err := transport.RoundTrip(newRequest(t, http.MethodPost, "text")); err != nil {
			t.Errorf("error %v, want a response", err)
		}
	}
	if !maps.Equal(c.hits, want) {
		t.Errorf("%d requests went to %v, want %v", n, c.hits, want)
	}
}

func TestEachBackendInTurn(t *testing.T) {
	t.Parallel()
	c := newCounter()
	transport, lists := newTransport(t, c, "http://a", "http://b", "http://c")
	c.wantHits(t, transport, 30, map[string]int{"a": 10, "b": 10, "c": 10})
	lists <- []string{"http://b", "http://d"}
	lists <- []string{"http://b", "http://d"}
	c.wantHits(t, transport, 30, map[string]int{"b": 15, "d": 15})
}

func TestFewestOutstanding(t *testing.T) {
	t.Parallel()
	a := newBackend(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("a")) })
	b := newBackend(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("b")) })
	transport, _ := newTransport(t, nil, a, b)
	client := &http.Client{Transport: transport}
	get := func() *http.Response {
		t.Helper()
		response, err := client.Do(newRequest(t, http.MethodGet, ""))
		if err != nil {
			t.Fatal(err)
		}
		return response
	}
	held := get() // its body is not read: it is outstanding
	for range 10 {
		response := get()
		if name := "http://" + response.Request.URL.Host; name != b {
			t.Errorf("answered by %s, want %s, which has nothing outstanding", name, b)
		}
		_ = response.Body.Close()
	}
	_ = held.Body.Close()
	seen := make(map[string]int)
	for range 10 {
		response := get()
		seen["http://"+response.Request.URL.Host]++
		_ = response.Body.Close()
		_ = response.Body.Close() // counts once
	}
	if seen[a] != 5 || seen[b] != 5 {
		t.Errorf("answered by %v, want each 5 times when nothing is outstanding", seen)
	}
}

func TestFailedBackendIsAvoided(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCounter()
		transport, _ := newTransport(t, c, "http://a", "http://b")
		c.down["a"] = true
		c.wantHits(t, transport, 10, map[string]int{"a": 1, "b": 10})
		time.Sleep(balance.AvoidTime - 1)
		c.wantHits(t, transport, 10, map[string]int{"b": 10})
		time.Sleep(time.Nanosecond)
		c.wantHits(t, transport, 10, map[string]int{"a": 1, "b": 10}) // tried again, in vain
		c.down["a"] = false
		time.Sleep(balance.AvoidTime)
		c.wantHits(t, transport, 10, map[string]int{"a": 5, "b": 5})

		// When both have failed one is tried, rather than none.
		c.down["a"], c.down["b"] = true, true
		if _, err := transport.RoundTrip(newRequest(t, http.MethodGet, "")); err == nil {
			t.Error("no error, want one when both are down")
		}
		c.down["a"], c.down["b"] = false, false
		if _, err := transport.RoundTrip(newRequest(t, http.MethodGet, "")); err != nil {
			t.Errorf("error %v, want a response though both have failed before", err)
		}
	})
}

func TestOneRequestTriesAFailedBackend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var answer chan struct{}
		var mu sync.Mutex // guards what follows
		hits := make(map[string]int)
		failing := true
		hit := func(host string) bool {
			mu.Lock()
			defer mu.Unlock()
			hits[host]++
			return host == "a" && failing
		}
		base := roundTripper(func(r *http.Request) (*http.Response, error) {
			if hit(r.URL.Host) {
				return nil, errRefused
			}
			<-answer
			return respond(r, http.StatusOK), nil
		})
		transport, _ := newTransport(t, base, "http://a", "http://b")
		wantHits := func(n int, want map[string]int) {
			t.Helper()
			answer = make(chan struct{})
			clear(hits)
			for range n {
				go func() {
					if _, err := transport.RoundTrip(newRequest(t, http.MethodGet, "")); err != nil {
						t.Errorf("error %v, want a response", err)
					}
				}()
				synctest.Wait()
			}
			if !maps.Equal(hits, want) {
				t.Errorf("%d requests at a time went to %v, want %v", n, hits, want)
			}
			close(answer)
			synctest.Wait()
		}
		wantHits(1, map[string]int{"a": 1, "b": 1})
		failing = false
		time.Sleep(balance.AvoidTime)
		wantHits(4, map[string]int{"a": 1, "b": 3})
		wantHits(4, map[string]int{"a": 2, "b": 2}) // it has answered
	})
}

// A long response from before the failure, such as a stream of events, says
// nothing about a backend.
func TestFailedBackendWithALongResponse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCounter()
		transport, _ := newTransport(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			response, err := c.RoundTrip(r)
			if r.Method == http.MethodGet && err == nil {
				response.Body = io.NopCloser(strings.NewReader("long"))
			}
			return response, err
		}), "http://a", "http://b")
		for range 2 { // one from each
			response, err := transport.RoundTrip(newRequest(t, http.MethodGet, ""))
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
		}
		c.down["a"] = true
		c.wantHits(t, transport, 10, map[string]int{"a": 1, "b": 10})
		c.down["a"] = false
		time.Sleep(balance.AvoidTime)
		c.wantHits(t, transport, 10, map[string]int{"a": 5, "b": 5})
	})
}

// A backend that lets requests time out is avoided like one that refuses them.
func TestTimeoutIsFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCounter()
		transport, _ := newTransport(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodGet && r.URL.Host == "a" {
				c.hits["hung"]++
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return c.RoundTrip(r)
		}), "http://a", "http://b")
		client := &http.Client{Transport: transport, Timeout: time.Second}
		get := func(failures int) {
			t.Helper()
			clear(c.hits)
			for range 20 {
				response, err := client.Get("http://backends/")
				if err == nil {
					_ = response.Body.Close()
				}
			}
			if c.hits["hung"] != failures || c.hits["b"] != 20-failures {
				t.Errorf("20 requests went to %v, want %d to time out, and the rest to go to b", c.hits, failures)
			}
		}
		get(1)
		time.Sleep(balance.AvoidTime - 1)
		get(0)
		time.Sleep(time.Nanosecond)
		get(1)
	})
}

func TestAbandonedRequestIsNoFailure(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var hits []string
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		hits = append(hits, r.URL.Host)
		if r.Context().Done() == ctx.Done() {
			cancel()
			return nil, ctx.Err()
		}
		return respond(r, http.StatusOK), nil
	})
	transport, _ := newTransport(t, base, "http://a", "http://b")
	_, err := transport.RoundTrip(newRequest(t, http.MethodGet, "").WithContext(ctx))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want Canceled", err)
	}
	for range 4 {
		if _, err := transport.RoundTrip(newRequest(t, http.MethodGet, "")); err != nil {
			t.Errorf("error %v, want a response", err)
		}
	}
	if want := []string{"a", "b", "a", "b", "a"}; !slices.Equal(hits, want) {
		t.Errorf("tried %v, want each in turn: %v", hits, want)
	}
}
