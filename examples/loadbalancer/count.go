package main

import (
	"context"
	"io"
	"net/http"
	"sync"
)

// counter counts the requests that the balancer gives to the backends.
type counter struct {
	lb        *balancer
	transport http.RoundTripper
}

// triesKey is the context key of an *int, which counts how many backends a
// request was given to.
type triesKey struct{}

func withTries(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), triesKey{}, new(int)))
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	tries := r.Context().Value(triesKey{}).(*int)
	if *tries++; *tries > 1 {
		c.lb.retried.Add(1)
	}
	b := c.lb.find(r.URL.Host)
	if b == nil {
		b = new(backend) // it has just left
	}
	b.requests.Add(1)
	b.inFlight.Add(1)
	answer, err := c.transport.RoundTrip(r)
	switch {
	case err != nil:
		b.inFlight.Add(-1)
		if r.Context().Err() == nil {
			b.errors.Add(1)
		}
		return nil, err
	case answer.StatusCode == http.StatusSwitchingProtocols:
		b.inFlight.Add(-1) // the body is a connection now
	default:
		answer.Body = &responseBody{ReadCloser: answer.Body, request: r, lb: c.lb, backend: b}
	}
	return answer, nil
}

// responseBody is the body of an answer. A request is in flight until its
// answer is complete.
type responseBody struct {
	io.ReadCloser

	request *http.Request
	lb      *balancer
	backend *backend
	close   sync.Once
}

func (b *responseBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF && b.request.Context().Err() == nil {
		b.lb.failed.Add(1)
		b.backend.errors.Add(1)
	}
	return n, err
}

func (b *responseBody) Close() error {
	b.close.Do(func() { b.backend.inFlight.Add(-1) })
	return b.ReadCloser.Close()
}
