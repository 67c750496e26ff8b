package balance_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dahernan/gopherdiscovery/integrations/balance"
)

func TestRetryWhereThatIsSafe(t *testing.T) {
	t.Parallel()
	kinds := map[string]string{
		"refuses":          refuse,
		"breaks off TLS":   strings.Replace(hangUp(t, ""), "http", "https", 1),
		"hangs up":         hangUp(t, ""),
		"begins to answer": hangUp(t, "HTTP/1.1 2"),
		"answers with 503": hangUp(t, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
	}
	const once, key = "a body that can be read once", "Idempotency-Key"
	for _, test := range []struct {
		kind    string
		methods string
		body    string
		special string // once, key or nothing
		want    int    // the status: 200 is the other backend's, 0 is an error
	}{
		{"refuses", "GET HEAD OPTIONS TRACE PUT DELETE POST PATCH", "", "", 200},
		{"refuses", "PUT POST", "text", "", 200},
		{"refuses", "PUT POST", "text", once, 200},
		{"breaks off TLS", "GET POST", "", "", 200},
		{"breaks off TLS", "POST", "text", once, 200},
		{"hangs up", "GET HEAD OPTIONS", "", "", 200},
		{"hangs up", "PUT DELETE POST PATCH", "", "", 0},
		{"hangs up", "PUT POST", "", key, 200},
		{"hangs up", "PUT POST", "text", key, 200},
		{"hangs up", "OPTIONS", "text", "", 200},
		{"hangs up", "OPTIONS", "text", once, 0},
		{"hangs up", "POST", "text", "", 0},
		{"begins to answer", "GET HEAD OPTIONS", "", "", 200},
		{"begins to answer", "PUT POST", "", "", 0},
		{"answers with 503", "GET POST", "", "", 503},
	} {
		for method := range strings.FieldsSeq(test.methods) {
			t.Run(strings.Join([]string{test.kind, method, test.body, test.special}, "/"), func(t *testing.T) {
				t.Parallel()
				transport, _ := newTransport(t, nil, kinds[test.kind], echo(t))
				r := newRequest(t, method, test.body)
				switch test.special {
				case once:
					r.GetBody = nil
					r.Body = newCloseOnce(t, r.Body)
				case key:
					r.Header[key] = []string{}
				}
				response, err := transport.RoundTrip(r)
				if test.want == 0 {
					var failure *balance.Error
					if !errors.As(err, &failure) || failure.Backend != kinds[test.kind] || failure.Timeout() {
						t.Errorf("error %v, want an *Error that names %s", err, kinds[test.kind])
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				text, err := io.ReadAll(response.Body)
				if response.StatusCode != test.want || err != nil {
					t.Errorf("status %d, error %v, want %d", response.StatusCode, err, test.want)
				}
				if want := method + " " + test.body; test.want == 200 && method != "HEAD" && string(text) != want {
					t.Errorf("the other backend got %q, want %q", text, want)
				}
			})
		}
	}
}

func TestThreeTries(t *testing.T) {
	t.Parallel()
	tried := make(map[string]int)
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		tried[r.URL.Host]++
		return nil, errRefused
	})
	for _, test := range []struct {
		backends []string
		want     int
	}{
		{[]string{"http://a", "http://b", "http://c", "http://d", "http://e"}, 3},
		{[]string{"http://a", "http://b"}, 2},
	} {
		clear(tried)
		transport, _ := newTransport(t, base, test.backends...)
		r := newRequest(t, http.MethodPost, "text")
		r.Body = newCloseOnce(t, r.Body)
		_, err := transport.RoundTrip(r)
		if !errors.Is(err, errRefused) || len(tried) != test.want {
			t.Errorf("%d backends: error %v after %v, want %v after %d tries", len(test.backends), err, tried, errRefused, test.want)
		}
	}
}

// A request that is wrong, or that its caller gives up, is no fault of a
// backend.
func TestFaultOfTheCaller(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, change := range map[string]func(r *http.Request, cancel func()) *http.Request{
		"header": func(r *http.Request, _ func()) *http.Request {
			r.Header.Set("Header", "a line\r\nand another")
			return r
		},
		"method": func(r *http.Request, _ func()) *http.Request {
			r.Method = "BAD METHOD"
			return r
		},
		"body": func(r *http.Request, _ func()) *http.Request {
			r.Body = newCloseOnce(t, io.MultiReader(strings.NewReader("text"), brokenReader{broken}))
			r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("text")), nil }
			r.ContentLength = 10
			return r
		},
		"context": func(r *http.Request, cancel func()) *http.Request {
			cancel()
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int32
			count := func(_ http.ResponseWriter, r *http.Request) {
				_, err := io.Copy(io.Discard, r.Body)
				if err == nil {
					requests.Add(1)
				}
			}
			transport, _ := newTransport(t, nil, newBackend(t, count), newBackend(t, count))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r := newRequest(t, http.MethodGet, "").WithContext(ctx)
			if _, err := transport.RoundTrip(change(r, cancel)); err == nil {
				t.Error("no error, want one")
			}
			if n := requests.Load(); n != 0 {
				t.Errorf("%d backends got the request, want none", n)
			}
			// Neither is avoided.
			seen := make(map[string]bool)
			for range 2 {
				response, err := transport.RoundTrip(newRequest(t, http.MethodGet, ""))
				if err != nil {
					t.Fatal(err)
				}
				seen[response.Request.URL.Host] = true
				_ = response.Body.Close()
			}
			if len(seen) != 2 {
				t.Errorf("answers from %v, want one from each", seen)
			}
		})
	}
}

type brokenReader struct{ err error }

func (r brokenReader) Read([]byte) (int, error) { return 0, r.err }

// A base transport may close a body after it has returned.
func TestBodyIsClosedLate(t *testing.T) {
	t.Parallel()
	var closing sync.WaitGroup
	late := func(r *http.Request, when chan struct{}) {
		closing.Go(func() {
			<-when
			_, _ = r.Body.Read(make([]byte, 1))
			_ = r.Body.Close()
			_ = r.Body.Close()
		})
	}
	returned := make(chan struct{})
	base := lateCloser{func(r *http.Request) (*http.Response, error) {
		late(r, returned)
		if r.URL.Host == "a" {
			return nil, errRefused
		}
		return respond(r, http.StatusOK), nil
	}}
	transport, _ := newTransport(t, base, "http://a", "http://b")
	r := newRequest(t, http.MethodPost, "text")
	r.GetBody = nil
	r.Body = newCloseOnce(t, r.Body)
	if _, err := transport.RoundTrip(r); err != nil {
		t.Errorf("error %v, want a response of b", err)
	}
	close(returned)
	closing.Wait()
}

// lateCloser leaves the body to its function.
type lateCloser struct{ roundTrip roundTripper }

func (l lateCloser) RoundTrip(r *http.Request) (*http.Response, error) {
	out := *r
	out.Body = nil
	var response *http.Response
	var err error
	_, _ = roundTripper(func(*http.Request) (*http.Response, error) {
		response, err = l.roundTrip(r)
		return response, err
	}).RoundTrip(&out)
	return response, err
}

// Backends come and go under load, and each finishes what it has.
func TestLoadWhileBackendsComeAndGo(t *testing.T) {
	t.Parallel()
	transport, lists := newTransport(t, nil)
	client := &http.Client{Transport: transport}
	start := func() *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, r.Body)
		}))
	}
	backends := []*httptest.Server{start(), start(), start()}
	publish := func() {
		var list []string
		for _, b := range backends {
			list = append(list, b.URL)
		}
		lists <- list
		lists <- list
	}
	publish()
	ctx, stop := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	var sent [8]atomic.Int32
	for i := range sent {
		sending.Go(func() {
			for ctx.Err() == nil {
				response, err := client.Do(newRequest(t, http.MethodPost, "text"))
				if err != nil {
					t.Errorf("error %v, want none", err)
					return
				}
				text, err := io.ReadAll(response.Body)
				if string(text) != "text" || err != nil {
					t.Errorf("response %q, error %v, want text", text, err)
				}
				_ = response.Body.Close()
				sent[i].Add(1)
			}
		})
	}
	// sentTwice waits until each sender has sent a request that it began now or
	// later. One that is begun may still go to a backend that has left.
	sentTwice := func() {
		for i := range sent {
			for before := sent[i].Load(); sent[i].Load() < before+2 && !t.Failed(); {
				if _, err := client.Head("http://backends/"); err != nil {
					t.Errorf("error %v, want none", err)
				}
			}
		}
	}
	for range 10 {
		gone := backends[0]
		backends = append(backends[1:], start())
		publish()
		sentTwice()
		gone.Close() // waits for what it has
	}
	stop()
	sending.Wait()
	for _, b := range backends {
		b.Close()
	}
}
