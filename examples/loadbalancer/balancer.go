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
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A request goes to at most this many backends.
const maxTries = 3

var errNoBackend = errors.New("no backend is there")

// balancer is a reverse proxy that gives each request to the next backend in turn. It is also the transport of that proxy: so it
// can give a request to another backend when the first one cannot be reached.
type balancer struct {
	proxy     *httputil.ReverseProxy
	transport http.RoundTripper // to one backend
	logger    *slog.Logger

	requests atomic.Int64
	failed   atomic.Int64 // the client got no answer, or only a part of it
	retried  atomic.Int64 // given to one more backend

	mu       sync.Mutex // guards the fields below
	backends []*backend // sorted by name, as the list is
	next     int
}

// backend is one of those in the list.
type backend struct {
	name     string
	url      *url.URL
	since    time.Time // when it was first seen in the list
	requests atomic.Int64
	inFlight atomic.Int64
	errors   atomic.Int64 // requests that it did not answer
}

func newBalancer(logger *slog.Logger) *balancer {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 256 // there are few hosts, and many requests to each
	// A host that is down does not refuse a connection. Until it is out of the list this is what it costs to try it.
	transport.DialContext = (&net.Dialer{Timeout: time.Second}).DialContext
	// What the client accepts is for it and the backend to agree on.
	transport.DisableCompression = true

	lb := &balancer{transport: transport, logger: logger}
	lb.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.RawQuery = r.In.URL.RawQuery // as it is: the backend may understand more than net/url does
			r.SetXForwarded()
		},
		Transport:    lb,
		ErrorHandler: lb.fail,
		ErrorLog:     slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	return lb
}

// setBackends is for each list that comes from the discovery. Who stays keeps its counts.
func (lb *balancer) setBackends(list []string) {
	lb.mu.Lock()
	defer lb.mu.Unlock()
	before := lb.backends
	lb.backends = nil
	for _, name := range list {
		if i := slices.IndexFunc(before, func(b *backend) bool { return b.name == name }); i >= 0 {
			lb.backends = append(lb.backends, before[i])
			continue
		}
		u, err := url.Parse(name)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			lb.logger.Warn("this name is no URL of a backend", "name", name)
			continue
		}
		lb.backends = append(lb.backends, &backend{name: name, url: u, since: time.Now()})
	}
}

// pick returns the next backend in turn that has not been tried yet, and nil if there is none.
func (lb *balancer) pick(tried []*backend) *backend {
	lb.mu.Lock()
	defer lb.mu.Unlock()
	for range lb.backends {
		lb.next = (lb.next + 1) % len(lb.backends)
		if b := lb.backends[lb.next]; !slices.Contains(tried, b) {
			return b
		}
	}
	return nil
}

// ServeHTTP does not use a ServeMux, which would redirect paths such as /a//b before a backend sees them.
func (lb *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/status":
		lb.serveStatus(w, r)
	case "/status.json":
		lb.serveStatusJSON(w, r)
	default:
		lb.requests.Add(1)
		lb.proxy.ServeHTTP(w, r)
	}
}

// RoundTrip gives a request to a backend, and to another one if the first does not answer and that is safe.
func (lb *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	var tried []*backend
	err := errNoBackend
	for len(tried) < maxTries {
		b := lb.pick(tried)
		if b == nil {
			break
		}
		if len(tried) > 0 {
			lb.retried.Add(1)
		}
		tried = append(tried, b)
		t := &try{balancer: lb, backend: b}
		var answer *http.Response
		if answer, err = t.roundTrip(r); err == nil {
			return answer, nil
		}
		if r.Context().Err() != nil || !t.mayRepeat(r.Method, err) {
			break
		}
	}
	return nil, err
}

// fail answers a request that no backend has answered.
func (lb *balancer) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == context.Canceled {
		return // the client has gone: nobody waits for an answer
	}
	lb.failed.Add(1)
	lb.logger.Warn("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	code := http.StatusBadGateway
	if errors.Is(err, errNoBackend) {
		code = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, fmt.Sprintf("%d %s", code, http.StatusText(code)), code)
}
