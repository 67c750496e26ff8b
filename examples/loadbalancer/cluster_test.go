//go:build unix

package main

import (
	"context"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// cluster is a discovery server, a proxy and backends. The proxy and the
// backends are processes.
type cluster struct {
	t        *testing.T
	server   *gopherdiscovery.DiscoveryServer
	proxy    string // its URL
	page     string // the URL of its status page
	stop     func() // tells the proxy to end
	backends map[string]*clitest.Program
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, backends: make(map[string]*clitest.Program)}
	c.server = clitest.StartServer(t, "tcp://127.0.0.1:0", "tcp://127.0.0.1:0", gopherdiscovery.Options{})
	_, urlPubSub := c.server.URLs()
	p := clitest.Start(t, "-pubsub", urlPubSub, "-http", "127.0.0.1:0", "-status", "127.0.0.1:0", "-log-level", "error")
	c.stop = sync.OnceFunc(func() { p.Signal(syscall.SIGTERM) }) // the second would kill it
	c.proxy = p.Stdout.Await(`^http://127\.0\.0\.1:\d+$`)[0]
	c.page = p.Stdout.Await(`^status: (http://127\.0\.0\.1:\d+)$`)[1]
	t.Cleanup(func() {
		c.stop()
		wantEnd(t, p)
	})
	return c
}

// add starts a backend, and returns when the proxy has it.
func (c *cluster) add(args ...string) (url string) {
	c.t.Helper()
	urlServer, _ := c.server.URLs()
	p := clitest.Start(c.t, append([]string{"-backend", "-server", urlServer, "-http", "127.0.0.1:0"}, args...)...)
	url = p.Stdout.Await(`^http://127\.0\.0\.1:\d+$`)[0]
	c.backends[url] = p
	c.await("all backends", func(s status) bool {
		return slices.EqualFunc(s.Backends, slices.Sorted(maps.Keys(c.backends)), func(b backendStatus, url string) bool { return b.Name == url })
	})
	return url
}

// await asks the proxy for its status until it is as wanted.
func (c *cluster) await(what string, wanted func(status) bool) {
	c.t.Helper()
	deadline := time.After(clitest.Patience)
	for {
		s := askStatus(c.t, c.page)
		if wanted(s) {
			return
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			c.t.Fatalf("status %+v after %v, want %s", s, clitest.Patience, what)
		}
	}
}

func (c *cluster) kill(url string) {
	c.backends[url].Signal(syscall.SIGKILL)
	c.backends[url].Wait()
	delete(c.backends, url)
}

// end ends a program as a user would, and checks that it ended without errors.
func end(t *testing.T, p *clitest.Program) {
	t.Helper()
	p.Signal(syscall.SIGTERM)
	wantEnd(t, p)
}

func wantEnd(t *testing.T, p *clitest.Program) {
	t.Helper()
	if _, stderr, code := p.Wait(); code != 0 || stderr != "" {
		t.Errorf("exit code %d, stderr %q, want 0 and nothing", code, stderr)
	}
}

// during sends requests before, during and after the event.
func (c *cluster) during(event func()) result {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*clitest.Patience)
	defer cancel()
	r, err := newLoad(c.proxy).during(ctx, func() error { event(); return nil })
	if err != nil {
		c.t.Error(err)
	}
	if s := askStatus(c.t, c.page); s.Failed != int64(r.failedGET+r.failedPOST) {
		c.t.Errorf("status %+v, want the %d failures that its clients have seen", s, r.failedGET+r.failedPOST)
	}
	return r
}

func TestLeaveCostsNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	a := c.add("-work", "1ms", "-grace", "1s")
	c.add("-work", "1ms")
	c.add("-work", "1ms")
	r := c.during(func() { end(t, c.backends[a]) })
	if r.requests < leastLoad || r.failedGET+r.failedPOST != 0 {
		t.Errorf("%+v, want no failure in %d requests or more", r, leastLoad)
	}
	for url := range c.backends {
		if r.answers[url] == 0 {
			t.Errorf("%s has got nothing of %+v", url, r)
		}
	}
}

// requests sends requests, waits until they are in flight, runs the event, and
// returns how many requests got which code.
func (c *cluster) requests(event func(), methods ...string) map[string]map[int]int {
	c.t.Helper()
	codes := make(map[string]map[int]int)
	var mu sync.Mutex // guards codes
	var sending sync.WaitGroup
	for _, method := range methods {
		sending.Go(func() {
			code, _, err := request(c.t, method, c.proxy, "")
			if err != nil {
				c.t.Errorf("%s: %v", method, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if codes[method] == nil {
				codes[method] = make(map[int]int)
			}
			codes[method][code]++
		})
	}
	c.await("all in flight", func(s status) bool { return s.Backends[0].InFlight == int64(len(methods)) })
	event()
	sending.Wait()
	return codes
}

func TestBackendFinishesItsRequests(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	a := c.add("-work", "3s", "-grace", "1s")
	codes := c.requests(func() { end(t, c.backends[a]) }, "GET", "GET", "POST", "POST", "POST")
	if codes["GET"][http.StatusOK] != 2 || codes["POST"][http.StatusOK] != 3 {
		t.Errorf("codes %v, want only 200", codes)
	}
	c.await("an empty list", func(s status) bool { return len(s.Backends) == 0 })
}

func TestKillCostsWhatIsNotSafeToRepeat(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	victim := c.add("-work", "1h")
	codes := c.requests(func() {
		// The other backend only comes now, so that all requests are at the
		// victim.
		other := c.add()
		c.kill(victim)
		c.await("only the other", func(s status) bool { return len(s.Backends) == 1 && s.Backends[0].Name == other })
	}, "GET", "GET", "GET", "PUT", "DELETE", "POST", "POST")
	if codes["GET"][http.StatusOK] != 3 {
		t.Errorf("GET: codes %v, want only 200", codes["GET"])
	}
	for method, n := range map[string]int{"PUT": 1, "DELETE": 1, "POST": 2} {
		if codes[method][http.StatusBadGateway] != n {
			t.Errorf("%s: codes %v, want only 502", method, codes[method])
		}
	}
	if s := askStatus(t, c.page); s.Requests != 7 || s.Failed != 4 || s.Retried != 3 {
		t.Errorf("status %+v, want 7 requests, of which 4 have failed and 3 were retried", s)
	}
}

// The proxy ends its subscription after its requests: one that has lost its
// backend gets another.
func TestProxyFinishesItsRequests(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	victim := c.add("-work", "1h")
	codes := c.requests(func() {
		c.add()
		c.stop()
		awaitRefusal(t, c.proxy)
		c.kill(victim)
	}, "GET", "GET")
	if codes["GET"][http.StatusOK] != 2 {
		t.Errorf("codes %v, want only 200", codes)
	}
}

// awaitRefusal returns when nobody listens at a URL any more.
func awaitRefusal(t *testing.T, url string) {
	t.Helper()
	testmain.Await(t, url+" refuses connections", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
}

func TestKillUnderLoad(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	victim := c.add("-work", "5ms")
	c.add()
	c.add()
	r := c.during(func() { c.kill(victim) })
	if r.requests < leastLoad || r.failedGET != 0 || r.failedPOST > clients {
		t.Errorf("%+v, want no failed GET in %d requests or more, and no failed POST but those in flight", r, leastLoad)
	}
}

func TestJoinGetsTraffic(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.add()
	c.add()
	var newcomer string
	r := c.during(func() { newcomer = c.add() })
	if r.failedGET+r.failedPOST != 0 || r.answers[newcomer] == 0 {
		t.Errorf("%+v, want no failure, and answers by %s", r, newcomer)
	}

	_ = c.server.Close() // the last list stands
	before := askStatus(t, c.page)
	for range 30 {
		if code, _, err := request(t, "GET", c.proxy, ""); code != http.StatusOK || err != nil {
			t.Errorf("answer %d, error %v, want 200", code, err)
		}
	}
	for i, b := range askStatus(t, c.page).Backends {
		if got := b.Requests - before.Backends[i].Requests; got != 10 {
			t.Errorf("%s has got %d of 30 requests, want 10", b.Name, got)
		}
	}
}

func TestDemoInterrupted(t *testing.T) { clitest.Interrupt(t, "loadbalancer", "^Load: ") }
