package balance

import (
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/names"
)

// backend is one of those in the list. Its fields are guarded by the transport,
// except for the name and the URL, which never change.
type backend struct {
	name        string
	url         *url.URL
	outstanding int
	failed      bool // it has not answered its last request
	avoid       time.Time
	trials      int // requests since it has failed that wait for an answer
}

// isAvoided reports whether a backend that has failed is to be left alone, or
// is just being tried again.
func (b *backend) isAvoided(now time.Time) bool {
	return b.failed && (now.Before(b.avoid) || b.trials > 0)
}

// run takes the lists until there are no more.
func (t *Transport) run(lists <-chan []string) {
	ready := sync.OnceFunc(func() { close(t.ready) })
	defer ready()
	defer t.close()
	var before []string
	for list := range lists {
		list = t.match.Filter(list)
		t.setBackends(before, list)
		ready()
		before = list
	}
}

func (t *Transport) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
}

// setBackends keeps what is known of those who stay.
func (t *Transport) setBackends(before, list []string) {
	t.mu.Lock()
	known := make(map[string]*backend)
	for _, b := range t.backends {
		known[b.name] = b
	}
	var backends []*backend
	var invalid []string
	for _, name := range list {
		b := known[name]
		if b == nil {
			if u := parseName(name); u != nil {
				b = &backend{name: name, url: u}
			}
		}
		if b == nil {
			invalid = append(invalid, name)
			continue
		}
		backends = append(backends, b)
	}
	t.backends = backends
	t.mu.Unlock()

	joined, _ := gopherdiscovery.Diff(before, list)
	for _, name := range invalid {
		if slices.Contains(joined, name) {
			t.logger.Warn("balance: this name is no URL of a backend", "name", name)
		}
	}
}

// parseName returns the URL of a backend, and nil for other names.
func parseName(name string) *url.URL {
	_, name = names.Split(name)
	u, err := url.Parse(name)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" ||
		u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil
	}
	return u
}

// pick returns an attempt at the backend for a request that these have failed.
func (t *Transport) pick(tried []*backend) (*attempt, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, ErrClosed
	}
	now := time.Now()
	best := -1
	for i := range t.backends {
		i = (t.next + i) % len(t.backends)
		if slices.Contains(tried, t.backends[i]) {
			continue
		}
		if best < 0 || isBetter(t.backends[i], t.backends[best], now) {
			best = i
		}
	}
	if best < 0 {
		return nil, ErrNoBackend
	}
	t.next = best + 1
	b := t.backends[best]
	b.outstanding++
	if b.failed {
		b.trials++
	}
	return &attempt{transport: t, backend: b, isTrial: b.failed}, nil
}

func isBetter(a, b *backend, now time.Time) bool {
	if avoided := a.isAvoided(now); avoided != b.isAvoided(now) {
		return !avoided
	}
	return a.outstanding < b.outstanding
}

// answered is when the header of a response has come.
func (t *Transport) answered(a *attempt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a.settleLocked()
	a.backend.failed = false
}

// unanswered is when an attempt has ended without, which may be a failure of
// the backend.
func (t *Transport) unanswered(a *attempt, failed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a.settleLocked()
	a.backend.outstanding--
	if failed {
		a.backend.failed = true
		a.backend.avoid = time.Now().Add(avoidTime)
	}
}

// settleLocked is called when it is known what came of the attempt.
func (a *attempt) settleLocked() {
	if a.isTrial {
		a.backend.trials--
	}
}

// done is when a request is no longer outstanding.
func (t *Transport) done(b *backend) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b.outstanding--
}
