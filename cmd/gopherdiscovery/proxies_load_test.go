//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	subprocess "github.com/dahernan/gopherdiscovery/cmd/gopherdiscovery/internal/run"
	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// freeAddress returns an address for a program that cannot choose a port by
// itself. The port is below those that the system gives to connections, from
// 32768 on, so that none of them takes it in the meantime. The host is one that
// Python can look up without asking a name server.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}

// startProgram starts a program that is not ours. It ends with the test; its
// output is shown if the test fails.
func startProgram(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	p, err := subprocess.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Stop(clitest.Patience)
		if t.Failed() {
			t.Logf("%s:\n%s", name, output.String())
		}
	})
}

// client opens a connection for each request, as new users of a site do.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: clitest.Patience}

func fetch(ctx context.Context, url string) (status int, body string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

// site is what a proxy serves.
type site struct {
	*testing.T
	url string
}

// await asks again and again until the answer is a certain one.
func (s *site) await(is func(status int, body string) bool) {
	s.Helper()
	testmain.Eventually(s, clitest.Patience, func() string {
		status, body, err := fetch(s.Context(), s.url)
		if err == nil && is(status, body) {
			return ""
		}
		return fmt.Sprint(s.url, ": the last answer is ", status, " ", body, " ", err)
	})
}

func (s *site) awaitAnswerOf(name string) {
	s.Helper()
	s.await(func(status int, body string) bool { return status == http.StatusOK && body == name })
}

// awaitSteady returns when 100 answers in a row came from a backend. On a busy
// machine a worker of nginx that is to end answers some requests by the
// configuration that had no backend.
func (s *site) awaitSteady() {
	s.Helper()
	inARow := 0
	s.await(func(status int, _ string) bool {
		if inARow++; status != http.StatusOK {
			inARow = 0
		}
		return inARow == 100
	})
}

// workers is how many requests there are at a time under load.
const workers = 4

// load is requests one after the other, from each of the workers.
type load struct {
	*testing.T
	stop func() // waits for the requests that are under way

	mu       sync.Mutex // guards the fields below
	requests int
	failures []error
	leaving  string       // a backend
	without  [workers]int // answers of others since its last one, for each worker
}

func (s *site) load() *load {
	ctx, cancel := context.WithCancel(s.Context())
	l := &load{T: s.T}
	var wg sync.WaitGroup
	l.stop = func() {
		cancel()
		wg.Wait()
	}
	s.Cleanup(l.stop)
	for worker := range workers {
		wg.Go(func() {
			pace := time.NewTicker(10 * time.Millisecond) // the machine is shared
			defer pace.Stop()
			for ctx.Err() == nil {
				status, body, err := fetch(context.WithoutCancel(ctx), s.url)
				l.count(worker, status, body, err)
				<-pace.C
			}
		})
	}
	return l
}

func (l *load) count(worker, status int, body string, err error) {
	if err == nil && status != http.StatusOK {
		err = errors.New(http.StatusText(status) + ": " + body)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	if err != nil {
		l.failures = append(l.failures, err)
	}
	if l.without[worker]++; body == l.leaving {
		l.without[worker] = 0
	}
}

// awaitNoneTo returns when the proxy sends nothing to a backend any more: each
// worker has had many answers of the others, and waits for none of this one.
func (l *load) awaitNoneTo(name string) {
	l.Helper()
	l.mu.Lock()
	l.leaving, l.without = name, [workers]int{}
	l.mu.Unlock()
	testmain.Await(l, name+" gets no more requests", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return slices.Min(l.without[:]) >= 20
	})
}

// awaitRequests returns when there were so many requests since the last call of
// wantFailures.
func (l *load) awaitRequests(n int) {
	l.Helper()
	testmain.Eventually(l, clitest.Patience, func() string {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.requests >= n {
			return ""
		}
		return fmt.Sprintf("%d requests, want %d", l.requests, n)
	})
}

// wantFailures wants that no more requests have failed since the last call.
func (l *load) wantFailures(when string, most int) {
	l.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.requests == 0 || len(l.failures) > most {
		l.Errorf("%s: %d of %d requests have failed, want at most %d: %v", when, len(l.failures), l.requests, most, l.failures)
	}
	l.Logf("%s: %d of %d requests have failed", when, len(l.failures), l.requests)
	l.requests, l.failures = 0, nil
}
