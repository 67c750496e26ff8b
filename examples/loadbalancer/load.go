package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	clients = 16
	// leastLoad is the least number of requests during an event. The event
	// comes in the middle of them.
	leastLoad = 2000
)

// load sends requests to the proxy.
type load struct {
	url    string
	client *http.Client
}

func newLoad(url string) *load {
	return &load{url: url, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}}
}

// result is what became of a number of requests.
type result struct {
	requests   int
	failedGET  int
	failedPOST int
	answers    map[string]int // by backend
}

// running is the state of a load.
type running struct {
	midst chan struct{} // closed when half of leastLoad has been sent

	mu     sync.Mutex // guards the fields below
	result result
	over   bool // the event is over
}

// during sends requests before, during and after the event.
func (l *load) during(ctx context.Context, event func() error) (result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &running{midst: make(chan struct{}), result: result{answers: make(map[string]int)}}
	var sending sync.WaitGroup
	for range clients {
		sending.Go(func() {
			for method := r.next(); method != "" && ctx.Err() == nil; method = r.next() {
				backend, err := l.send(ctx, method)
				r.record(method, backend, err)
			}
		})
	}
	select {
	case <-r.midst:
	case <-ctx.Done():
	}
	err := event()
	if err != nil {
		cancel()
	}
	r.mu.Lock()
	r.over = true
	r.mu.Unlock()
	sending.Wait()
	if err == nil {
		err = ctx.Err()
	}
	return r.result, err
}

// next returns the method of the next request, or "" if there were enough.
func (r *running) next() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over && r.result.requests >= leastLoad {
		return ""
	}
	r.result.requests++
	if r.result.requests == leastLoad/2 {
		close(r.midst)
	}
	if r.result.requests%10 == 0 {
		return http.MethodPost
	}
	return http.MethodGet
}

func (r *running) record(method, backend string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.result.answers[backend]++
	case method == http.MethodGet:
		r.result.failedGET++
	default:
		r.result.failedPOST++
	}
}

// send sends a request, and returns the name of the backend that has answered
// it.
func (l *load) send(ctx context.Context, method string) (backend string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, l.url, nil)
	if err != nil {
		return "", err
	}
	answer, err := l.client.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s %s: %s", method, l.url, answer.Status)
	}
	return strings.TrimSuffix(strings.TrimPrefix(string(text), "hello from "), "\n"), nil
}

// awaitAnswer sends requests until the given backend has answered one.
func (l *load) awaitAnswer(ctx context.Context, backend string) error {
	for ctx.Err() == nil {
		if got, err := l.send(ctx, http.MethodGet); err == nil && got == backend {
			return nil
		}
		select { // until then others answer
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}
