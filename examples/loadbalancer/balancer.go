package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dahernan/gopherdiscovery/integrations/balance"
)

// balancer is a reverse proxy whose transport gives each request to one of the
// backends. Everything else here is for the status page.
type balancer struct {
	proxy  *httputil.ReverseProxy
	lists  chan []string // for the transport
	logger *slog.Logger

	requests atomic.Int64
	failed   atomic.Int64 // with no answer, or only a part of one
	retried  atomic.Int64 // given to another backend

	mu       sync.Mutex // guards the field below
	backends []*backend // sorted by name, like the list
}

// backend is one of the backends in the list.
type backend struct {
	name     string
	host     string    // part of its URL
	since    time.Time // when it was first seen in the list
	requests atomic.Int64
	inFlight atomic.Int64
	errors   atomic.Int64 // requests not answered
}

// answerTime is how long a backend has until it begins to answer. Clients that
// give up earlier cancel their requests, which says nothing about the backend.
const answerTime = 5 * time.Second

// newBalancer returns a proxy that has no list yet. Its requests wait for one.
// A backend that has not begun to answer when the patience is over has failed.
func newBalancer(logger *slog.Logger, patience time.Duration) *balancer {
	lb := &balancer{lists: make(chan []string), logger: logger}
	lb.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			// The query stays as it is even if net/url does not understand it.
			r.Out.URL.RawQuery = r.In.URL.RawQuery
			r.Out.Host = "" // the backend's
			r.SetXForwarded()
		},
		Transport: balance.New(lb.lists, balance.Options{
			Logger: logger,
			Base: &counter{lb, &http.Transport{
				// A host that is down does not refuse a connection. Until it is
				// off the list, this is what an attempt to connect costs.
				DialContext: (&net.Dialer{Timeout: time.Second}).DialContext,
				// There are few hosts, and many requests to each.
				MaxIdleConnsPerHost: 256,
				IdleConnTimeout:     90 * time.Second,
				TLSHandshakeTimeout: time.Second,
				// A request that may be repeated then goes to another backend.
				ResponseHeaderTimeout: patience,
				// The client and the backend negotiate the compression.
				DisableCompression: true,
			}},
		}),
		ErrorHandler: lb.fail,
		ErrorLog:     slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	return lb
}

// follow takes the lists that come from the discovery until there are no more.
func (lb *balancer) follow(lists <-chan []string) {
	defer close(lb.lists)
	for list := range lists {
		lb.setBackends(list)
	}
}

// setBackends is called with each list. A backend that stays keeps its counts.
func (lb *balancer) setBackends(list []string) {
	lb.mu.Lock()
	known := make(map[string]*backend)
	for _, b := range lb.backends {
		known[b.name] = b
	}
	lb.backends = nil
	for _, name := range list {
		b := known[name]
		if u, err := url.Parse(name); b == nil && err == nil && u.Host != "" {
			b = &backend{name: name, host: u.Host, since: time.Now()}
		}
		if b != nil {
			lb.backends = append(lb.backends, b)
		}
	}
	lb.mu.Unlock()
	lb.lists <- list
}

// find returns the backend at a host, or nil if it has left the list.
func (lb *balancer) find(host string) *backend {
	lb.mu.Lock()
	defer lb.mu.Unlock()
	for _, b := range lb.backends {
		if b.host == host {
			return b
		}
	}
	return nil
}

// ServeHTTP does not use a ServeMux, which would redirect paths such as /a//b
// before a backend sees them.
func (lb *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	lb.requests.Add(1)
	lb.proxy.ServeHTTP(w, withTries(r))
}

// fail answers a request that no backend has answered.
func (lb *balancer) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == context.Canceled {
		return // the client is gone
	}
	lb.failed.Add(1)
	lb.logger.Warn("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	code := http.StatusBadGateway
	if errors.Is(err, balance.ErrNoBackend) {
		code = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, fmt.Sprintf("%d %s", code, http.StatusText(code)), code)
}
