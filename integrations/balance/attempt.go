package balance

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"sync"
	"sync/atomic"
)

// attempt is a request on its way to one backend.
type attempt struct {
	transport *Transport
	backend   *backend
	isTrial   bool // the backend had failed before
	body      *requestBody
	asked     atomic.Bool // the base transport has looked for a connection
	connected atomic.Bool // and has got one
}

// roundTrip sends a clone of the request.
func (a *attempt) roundTrip(r *http.Request) (*http.Response, error) {
	response, err := a.transport.base.RoundTrip(a.clone(r))
	if err != nil {
		a.transport.unanswered(a, a.isFailure() && r.Context().Err() != context.Canceled)
		return nil, err
	}
	a.transport.answered(a)
	hide(a.backend.url, response.Header)
	done := sync.OnceFunc(func() { a.transport.done(a.backend) })
	switch body := response.Body.(type) {
	case io.ReadWriteCloser: // the connection, after 101 Switching Protocols
		response.Body = &upgraded{ReadWriteCloser: body, done: done}
	default:
		if body == http.NoBody {
			done()
			break
		}
		response.Body = &responseBody{ReadCloser: body, done: done}
	}
	return response, nil
}

// clone returns the request for the backend.
func (a *attempt) clone(r *http.Request) *http.Request {
	out := r.Clone(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GetConn: func(string) { a.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { a.connected.Store(true) },
	}))
	(&httputil.ProxyRequest{In: r, Out: out}).SetURL(a.backend.url) // and no Host
	if r.Host != r.URL.Host {
		out.Host = r.Host
	}
	out.Trailer = r.Trailer // the caller may set its values while the body is read
	if a.body != nil {
		out.Body = a.body.give()
	}
	return out
}

// isFailure reports whether an error was the backend's, unless the caller has
// canceled the request. A base transport looks for no connection if something
// is wrong with the request.
func (a *attempt) isFailure() bool {
	return a.asked.Load() && a.body.failure() == nil
}

// mayRepeat reports whether another backend may be given the request after a
// failure.
func (a *attempt) mayRepeat(r *http.Request) bool {
	return a.isFailure() && r.Context().Err() == nil && (!a.connected.Load() || isIdempotent(r))
}

// isIdempotent reports whether net/http would send a request once more.
func isIdempotent(r *http.Request) bool {
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	_, key := r.Header["Idempotency-Key"]
	_, xKey := r.Header["X-Idempotency-Key"]
	return key || xKey
}

// responseBody is the body of a response, which is outstanding until it is
// complete.
type responseBody struct {
	io.ReadCloser
	done func()
}

func (b *responseBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.done()
	}
	return n, err
}

func (b *responseBody) Close() error {
	b.done()
	return b.ReadCloser.Close()
}

// upgraded is a connection that the caller has taken over.
type upgraded struct {
	io.ReadWriteCloser
	done func()
}

// CloseWrite lets the backend see the end of what it is sent, and still answer.
func (u *upgraded) CloseWrite() error {
	if conn, ok := u.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return conn.CloseWrite()
	}
	return http.ErrNotSupported
}

func (u *upgraded) Close() error {
	u.done()
	return u.ReadWriteCloser.Close()
}
