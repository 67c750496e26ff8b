package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// newProxy starts a proxy over the given backends.
func newProxy(t *testing.T, backends ...string) (*balancer, string) {
	t.Helper()
	return startProxy(t, newBalancer(slog.New(slog.DiscardHandler), answerTime), backends...)
}

func startProxy(t *testing.T, lb *balancer, backends ...string) (*balancer, string) {
	t.Helper()
	t.Cleanup(func() { close(lb.lists) })
	setBackends(lb, backends...)
	proxy := httptest.NewServer(lb)
	t.Cleanup(proxy.Close)
	return lb, proxy.URL
}

// setBackends returns when the transport has taken the list.
func setBackends(lb *balancer, list ...string) {
	lb.setBackends(list)
	lb.setBackends(list)
}

// echo starts a backend that answers with what it has received.
func echo(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the body of %s %s: %v", r.Method, r.URL, err)
		}
		fmt.Fprintf(w, "%s %s %q for %s by %s", r.Method, r.RequestURI, body, r.Header.Get("X-Forwarded-Host"), r.Header.Get("X-Forwarded-For"))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// hangUp starts a backend that reads a request, answers with the given bytes
// and closes the connection.
func hangUp(t *testing.T, answer string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("hijack: %v", err)
			return
		}
		_, _ = io.WriteString(conn, answer)
		_ = conn.Close()
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// These are where nothing listens. A port that was just closed could be another
// test's by now.
const (
	refuse       = "http://127.0.0.1:1"
	refuseAsWell = "http://127.0.0.1:2"
)

// listenLinkLocal listens on an IPv6 address with a zone, and returns the URL.
func listenLinkLocal(t *testing.T) (name string, listener net.Listener) {
	t.Helper()
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Skip(err)
	}
	for _, i := range interfaces {
		addresses, _ := i.Addrs()
		for _, a := range addresses {
			n, ok := a.(*net.IPNet)
			if !ok || n.IP.To4() != nil || !n.IP.IsLinkLocalUnicast() {
				continue
			}
			zoned := &net.TCPAddr{IP: n.IP, Zone: i.Name}
			if listener, err := net.ListenTCP("tcp", zoned); err == nil {
				zoned.Port = listener.Addr().(*net.TCPAddr).Port
				return urlOf(zoned), listener
			}
		}
	}
	t.Skip("no IPv6 address with a zone")
	return "", nil
}

func TestBackendWithZone(t *testing.T) {
	t.Parallel()
	name, listener := listenLinkLocal(t)
	backend := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	_ = backend.Listener.Close()
	backend.Listener = listener
	backend.Start()
	t.Cleanup(backend.Close)
	lb, proxy := newProxy(t, name)
	code, _, err := request(t, "GET", proxy, "")
	if s := lb.status(); code != http.StatusOK || err != nil || s.Failed != 0 {
		t.Errorf("answer %d, error %v, status %+v, want 200 from %s", code, err, s, name)
	}
}

func request(t *testing.T, method, url, body string) (code int, text string, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	// On a connection that was used before, the client would repeat the request
	// by itself.
	r.Close = true
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(all), err
}

func TestRequestArrivesAsItWas(t *testing.T) {
	t.Parallel()
	_, proxy := newProxy(t, echo(t))
	for _, path := range []string{"/", "/a//b/../c", "/%2f?x=1&y=a%20b;z", "/status"} {
		code, text, err := request(t, "POST", proxy+path, "text")
		want := fmt.Sprintf("POST %s \"text\" for %s by 127.0.0.1", path, strings.TrimPrefix(proxy, "http://"))
		if code != http.StatusOK || text != want || err != nil {
			t.Errorf("%s: answer %d %q, error %v, want 200 %q", path, code, text, err, want)
		}
	}
}

func TestEachBackendInTurn(t *testing.T) {
	t.Parallel()
	lb, proxy := newProxy(t, echo(t), echo(t), echo(t))
	for range 30 {
		if code, _, err := request(t, "GET", proxy, ""); code != http.StatusOK || err != nil {
			t.Errorf("answer %d, error %v, want 200", code, err)
		}
	}
	for _, b := range lb.status().Backends {
		if b.Requests != 10 {
			t.Errorf("%s has got %d of 30 requests, want 10", b.Name, b.Requests)
		}
	}
}

// A client may wait for longer than a backend that hangs is worth.
func TestBackendHangs(t *testing.T) {
	t.Parallel()
	hung := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(hung.Close)
	lb, proxy := startProxy(t, newBalancer(slog.New(slog.DiscardHandler), time.Millisecond), hung.URL)
	code, _, err := request(t, "GET", proxy, "")
	if s := lb.status(); code != http.StatusBadGateway || err != nil || s.Failed != 1 || s.Backends[0].Errors != 1 {
		t.Errorf("answer %d, error %v, status %+v, want 502 and one error", code, err, s)
	}
}

// Which requests are retried, and where, is tested in integrations/balance.
// This test is about the counts.
func TestCounts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		first  string // a backend, beside a working one
		method string
		codes  []int // of two requests, in any order; 0 is a partial answer
		want   status
	}{
		"refuses":          {refuse, "POST", []int{200, 200}, status{Requests: 2, Retried: 1}},
		"hangs up":         {hangUp(t, ""), "GET", []int{200, 200}, status{Requests: 2, Retried: 1}},
		"hangs up on POST": {hangUp(t, ""), "POST", []int{200, 502}, status{Requests: 2, Failed: 1}},
		"answers in part": {
			hangUp(t, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"), "GET", []int{0, 200}, status{Requests: 2, Failed: 1},
		},
		"answers with 503": {
			hangUp(t, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"), "GET", []int{200, 503}, status{Requests: 2},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lb, proxy := newProxy(t, test.first, echo(t))
			var codes []int
			for range 2 {
				code, _, err := request(t, test.method, proxy, "")
				if err != nil {
					code = 0
				}
				codes = append(codes, code)
			}
			slices.Sort(codes)
			s := lb.status()
			if !slices.Equal(codes, test.codes) || s.Requests != 2 || s.Failed != test.want.Failed || s.Retried != test.want.Retried {
				t.Errorf("answers %v, status %+v, want %v and %+v", codes, s, test.codes, test.want)
			}
			for _, b := range s.Backends {
				if b.InFlight != 0 || b.Requests == 0 {
					t.Errorf("%+v, want some requests and none in flight", b)
				}
			}
		})
	}
}

func TestNobodyIsThere(t *testing.T) {
	t.Parallel()
	lb, proxy := newProxy(t)
	if code, _, _ := request(t, "GET", proxy, ""); code != http.StatusServiceUnavailable {
		t.Errorf("without a backend: answer %d, want 503", code)
	}
	setBackends(lb, "mailto:nobody", "a name", "http://127.0.0.1:%")
	if code, _, _ := request(t, "GET", proxy, ""); code != http.StatusServiceUnavailable {
		t.Errorf("without a name that is a URL: answer %d, want 503", code)
	}
	setBackends(lb, refuse, refuseAsWell)
	if code, _, _ := request(t, "GET", proxy, ""); code != http.StatusBadGateway {
		t.Errorf("with backends that are down: answer %d, want 502", code)
	}
	if s := lb.status(); s.Requests != 3 || s.Failed != 3 || s.Retried != 1 {
		t.Errorf("status %+v, want 3 requests, all failed, and a retry", s)
	}
}
