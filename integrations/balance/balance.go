// Package balance gives HTTP requests to the backends that are in a list now.
//
// A [Transport] is an [http.RoundTripper] over a subscription of
// gopherdiscovery. The names in the list are the URLs of the backends. It is
// for an [http.Client], and for the proxy of net/http/httputil.
//
// # URLs
//
// A backend is announced as http://host:port or https://host:port, perhaps with
// a path, and without user, query and fragment. A kind may stand in front, as
// in orders+http://host:port. Other names are left out, with one line in the
// log, and without one those that [Options.Match] does not choose.
//
// The scheme and the host in the URL of a request are placeholders: those of a
// backend take their place, and its path goes in front of that of the request.
// So http://orders/items/1 may become http://10.0.0.2:8080/items/1.
//
// The Host header is the backend's too, unless the field Host of the request
// differs from the host of its URL. Then it is sent as it is.
//
// A Location header that names the backend which has answered becomes a path on
// the host of the request. So a redirect goes to any backend, and an
// [http.Client] sends its credentials along. One with another scheme or port,
// or with a path that begins with // or is not below that of the backend's URL,
// stays as it is.
//
// # Which backend
//
// A request goes to the backend that has the fewest requests outstanding, and
// among equals to the next in turn. A request is outstanding until its response
// has been read to its end or closed. A backend that has not answered, be it
// only before the deadline of the request, is avoided for two seconds, and then
// gets one request at a time until it has answered one. A request that is
// canceled says nothing about its backend. A backend is avoided, not excluded:
// when all have failed one is tried.
//
// The requests of a proxy have no deadline, and are canceled when its client
// gives up. Let its [Options.Base] have a ResponseHeaderTimeout that is shorter
// than the patience of clients: otherwise a backend that hangs is not avoided.
//
// # Retries
//
// A request that failed goes to another backend, to three in all, if
//
//   - it was not sent, because no connection could be made, or
//   - it may be repeated: its method is GET, HEAD, OPTIONS or TRACE, or it has
//     an Idempotency-Key or X-Idempotency-Key header. That is how
//     [http.Transport] defines it.
//
// In both cases its body must be unread, or come from GetBody. A response is
// never a failure, whatever its status.
package balance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/names"
)

const (
	// maxTries is how many backends a request is given to. When all of three
	// are gone there is more wrong than a retry can mend.
	maxTries = 3

	// avoidTime is long beside the time in which a backend that was killed
	// leaves the list, and short for one that comes back under its old name.
	avoidTime = 2 * time.Second

	// dialTime is what a backend costs whose machine has vanished, until it is
	// avoided.
	dialTime = time.Second

	// pingIdle and pingTime are how long an HTTP/2 connection is silent until
	// it is asked for a sign of life, and how long that may take. All requests
	// to a backend share the connection, and fail for as long as nobody notices
	// that it is dead.
	pingIdle = 2 * time.Second
	pingTime = time.Second

	// idlePerHost is how many idle connections are kept to each backend. There
	// are few hosts, and many requests to each.
	idlePerHost = 256
)

var (
	// ErrNoBackend is the error of a request while the list has no backend.
	ErrNoBackend = errors.New("balance: no backend is in the list")

	// ErrClosed is the error of a request after the subscription has ended.
	ErrClosed = errors.New("balance: the subscription has ended")
)

// Error is why a request has got no response. It is in what an [http.Client]
// returns.
type Error struct {
	// Backend is the name of the backend that was tried last. It is empty if
	// the request was waiting for the first list.
	Backend string

	// Err is the error of the transport to that backend, or the cause why the
	// context of the request has ended.
	Err error
}

func (e *Error) Error() string {
	if e.Backend == "" {
		return "balance: waiting for the first list: " + e.Err.Error()
	}
	return "balance: " + e.Backend + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether Err is a timeout.
func (e *Error) Timeout() bool {
	var timeout interface{ Timeout() bool }
	return errors.As(e.Err, &timeout) && timeout.Timeout()
}

// Options are what a Transport may be told. The zero value is ready to use.
type Options struct {
	// Base carries each request to its backend. It must use the
	// httptrace.ClientTrace in the context of a request, as [http.Transport]
	// and what wraps one do: without its GetConn and GotConn no request is
	// retried. A request has a context of its own for that.
	//
	// If nil, Base is an [http.Transport] with the settings of
	// [http.DefaultTransport], except that it uses no proxy, gives a connection
	// one second to be made, keeps 256 idle connections to each backend, and
	// closes an HTTP/2 connection on which nothing has come for 3 seconds.
	Base http.RoundTripper

	// Match chooses the backends among the names in the list: in it * stands
	// for any characters, and all else for itself. So orders+* chooses those of
	// a kind. If it is empty all names are backends. If no name can match it,
	// as "a|b", each request fails with an error that says so.
	Match string

	// Logger takes a line for each name that is no URL of a backend. The
	// default is slog.Default().
	Logger *slog.Logger
}

// Transport gives requests to the backends in a list. Make one with [New]. It
// may be used concurrently.
type Transport struct {
	base   http.RoundTripper
	match  names.Pattern
	bad    error // what is wrong with match
	logger *slog.Logger
	ready  chan struct{} // closed by the first list, or when none will come

	mu       sync.Mutex // guards the fields below, and those of the backends
	closed   bool
	backends []*backend
	next     int // where the search for a backend begins
}

// New returns a transport over the backends in the newest of lists, which come
// from Subscriber.Changes or DiscoveryClient.Peers. It is their one reader from
// now on; List of the subscriber or client still tells the list. The transport
// ends when lists is closed. Close the subscriber or client after the last
// request. Without that it never ends.
func New(lists <-chan []string, opt Options) *Transport {
	t := &Transport{base: opt.Base, match: names.Pattern(opt.Match), logger: opt.Logger, ready: make(chan struct{})}
	if err := t.match.Check(); err != nil {
		t.bad = fmt.Errorf("balance: Options.Match %q: %w", opt.Match, err)
	}
	t.next = rand.IntN(1 << 16) // or all programs would begin with the same backend
	if t.base == nil {
		t.base = newBase()
	}
	if t.logger == nil {
		t.logger = slog.Default()
	}
	go t.run(lists)
	return t
}

func newBase() *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: dialTime, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: pingIdle, PingTimeout: pingTime},
		MaxIdleConnsPerHost:   idlePerHost,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}

// RoundTrip gives a request to a backend, and to another one if that fails and
// is safe. Before the first list it waits, until the context of the request
// ends. The error is ErrNoBackend, ErrClosed or an *Error, or what is wrong
// with the request or with Match.
//
// The Request in the response is what was sent, so that its URL tells which
// backend has answered.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	body := newRequestBody(r)
	defer func() { body.release() }()
	if t.bad != nil {
		return nil, t.bad
	}
	if r.URL == nil {
		return nil, errors.New("balance: the request has no URL")
	}
	if err := t.await(r.Context()); err != nil {
		return nil, err
	}
	var tried []*backend
	var failure error
	for {
		a, err := t.pick(tried)
		if err != nil {
			return nil, cmp.Or(failure, err)
		}
		tried = append(tried, a.backend)
		a.body = body
		response, err := a.roundTrip(r)
		if err == nil {
			return response, nil
		}
		failure = &Error{Backend: a.backend.name, Err: err}
		if len(tried) == maxTries || !a.mayRepeat(r) {
			return nil, failure
		}
		again, err := body.again(r.GetBody)
		if err != nil {
			return nil, failure
		}
		body = again
	}
}

// await returns when there is a list.
func (t *Transport) await(ctx context.Context) error {
	select {
	case <-t.ready:
		return nil
	default:
	}
	select {
	case <-t.ready:
		return nil
	case <-ctx.Done():
		return &Error{Err: context.Cause(ctx)}
	}
}

// CloseIdleConnections closes the connections that Base keeps for requests to
// come, if Base has a method of that name. An [http.Client] calls it.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}
