package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"sync"
	"sync/atomic"
)

// try is a request on its way to one backend.
type try struct {
	balancer *balancer
	backend  *backend
	body     requestBody
	answered atomic.Bool // a byte of the answer has come
}

func (t *try) roundTrip(r *http.Request) (*http.Response, error) {
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotFirstResponseByte: func() { t.answered.Store(true) },
	})
	out := r.Clone(ctx)
	(&httputil.ProxyRequest{In: r, Out: out}).SetURL(t.backend.url)
	if r.Body != nil && r.Body != http.NoBody {
		t.body.Reader = r.Body
		out.Body = &t.body
	}
	t.backend.requests.Add(1)
	t.backend.inFlight.Add(1)
	answer, err := t.balancer.transport.RoundTrip(out)
	switch {
	case err != nil:
		t.backend.inFlight.Add(-1)
		if r.Context().Err() == nil {
			t.backend.errors.Add(1)
		}
		return nil, err
	case answer.StatusCode == http.StatusSwitchingProtocols:
		t.backend.inFlight.Add(-1) // the body is a connection, and no longer ours
	default:
		answer.Body = &responseBody{ReadCloser: answer.Body, request: r, try: t}
	}
	return answer, nil
}

// mayRepeat tells whether another backend may be given the request after this error.
func (t *try) mayRepeat(method string, err error) bool {
	if !t.body.seal() || t.answered.Load() {
		return false
	}
	// What was never connected has sent nothing.
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	switch method { // the idempotent ones of RFC 9110, section 9.2.2: done twice is as good as done once
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// requestBody is the body of a request that can be sent once more if nobody has read from it. A transport may still do so after
// it has returned an error.
type requestBody struct {
	io.Reader

	state atomic.Int32 // fresh, then used or sealed
}

const (
	fresh = iota
	used
	sealed
)

func (b *requestBody) Read(p []byte) (int, error) {
	if !b.state.CompareAndSwap(fresh, used) && b.state.Load() == sealed {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.Reader.Read(p)
}

// Close leaves the body open for the next try. The proxy closes it in the end.
func (b *requestBody) Close() error { return nil }

// seal lets nobody read from the body from now on. It returns false if somebody has.
func (b *requestBody) seal() bool { return b.state.CompareAndSwap(fresh, sealed) }

// responseBody is the body of an answer. A request is in flight until its answer is complete.
type responseBody struct {
	io.ReadCloser

	request *http.Request
	try     *try
	close   sync.Once
}

func (b *responseBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF && b.request.Context().Err() == nil {
		b.try.balancer.failed.Add(1)
		b.try.backend.errors.Add(1)
	}
	return n, err
}

func (b *responseBody) Close() error {
	b.close.Do(func() { b.try.backend.inFlight.Add(-1) })
	return b.ReadCloser.Close()
}
