package balance_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"

	"github.com/dahernan/gopherdiscovery/integrations/balance"
)

var quiet = slog.New(slog.DiscardHandler)

// newTransport returns a transport over these backends, of which the first one
// gets the first request.
func newTransport(t *testing.T, base http.RoundTripper, backends ...string) (*balance.Transport, chan []string) {
	t.Helper()
	lists := make(chan []string)
	transport := balance.New(lists, balance.Options{Base: base, Logger: quiet})
	t.Cleanup(func() {
		close(lists)
		transport.CloseIdleConnections()
	})
	transport.StartAt(0)
	lists <- backends
	lists <- backends // the first one has been taken
	return transport, lists
}

// newBackend starts a backend.
func newBackend(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// echo is a backend that answers with the body that it has received.
func echo(t *testing.T) string {
	t.Helper()
	return newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Method+" "+string(text))
	})
}

// hangUp is a backend that reads a request, answers with these bytes and closes
// the connection.
func hangUp(t *testing.T, answer string) string {
	t.Helper()
	return newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("hijack: %v", err)
			return
		}
		_, _ = io.WriteString(conn, answer)
		_ = conn.Close()
	})
}

// refuse is where nothing listens. A port that was just closed could be
// another test's by now.
const refuse = "http://127.0.0.1:1"

// newRequest returns a request whose body has a GetBody, and none if it is
// empty.
func newRequest(t *testing.T, method, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://backends/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// closeOnce is a body that must be closed once, and be left alone after that.
type closeOnce struct {
	t *testing.T
	io.Reader

	mu     sync.Mutex // guards the field below
	closed int
}

func newCloseOnce(t *testing.T, r io.Reader) *closeOnce {
	b := &closeOnce{t: t, Reader: r}
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.closed != 1 {
			t.Errorf("the body was closed %d times, want once", b.closed)
		}
	})
	return b
}

func (b *closeOnce) Read(p []byte) (int, error) {
	b.mu.Lock()
	closed := b.closed
	b.mu.Unlock()
	if closed > 0 {
		b.t.Errorf("the body is read after it was closed")
		return 0, http.ErrBodyReadAfterClose
	}
	return b.Reader.Read(p)
}

func (b *closeOnce) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed++
	return nil
}

// roundTripper is a base transport without a network. It tells a trace what
// http.Transport tells it.
type roundTripper func(r *http.Request) (*http.Response, error)

var errRefused = errors.New("refused")

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	trace := httptrace.ContextClientTrace(r.Context())
	trace.GetConn(r.URL.Host)
	response, err := f(r)
	if !errors.Is(err, errRefused) {
		trace.GotConn(httptrace.GotConnInfo{})
	}
	if r.Body != nil {
		_ = r.Body.Close()
	}
	return response, err
}

// respond returns a response without a body.
func respond(r *http.Request, code int) *http.Response {
	return &http.Response{StatusCode: code, Body: http.NoBody, Request: r}
}
