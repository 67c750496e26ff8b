package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dahernan/gopherdiscovery/examples/internal/peer"
	"github.com/dahernan/gopherdiscovery/internal/cli"
)

// newProxy starts a proxy over these backends, whose first one gets the first request.
func newProxy(t *testing.T, backends ...string) (*balancer, string) {
	t.Helper()
	lb := newBalancer(slog.New(slog.DiscardHandler))
	lb.setBackends(backends)
	lb.next = len(backends) - 1
	proxy := httptest.NewServer(lb)
	t.Cleanup(proxy.Close)
	return lb, proxy.URL
}

// echo is a backend that answers with what it has received.
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

// hangUp is a backend that reads a request, answers with these bytes and closes the connection.
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

// refuse is where nobody listens.
func refuse(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return "http://" + listener.Addr().String()
}

// listenLinkLocal listens on an IPv6 address with a zone.
func listenLinkLocal(t *testing.T) (address string, listener net.Listener) {
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
			address := fmt.Sprintf("[%s%%%s]:0", n.IP, i.Name)
			if listener, err := cli.Listen(t.Context(), address); err == nil {
				return address, listener
			}
		}
	}
	t.Skip("no IPv6 address with a zone")
	return "", nil
}

func TestBackendWithZone(t *testing.T) {
	t.Parallel()
	address, listener := listenLinkLocal(t)
	name, err := peer.Name("", address, listener.Addr())
	if err != nil {
		t.Fatal(err)
	}
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
	for _, path := range []string{"/", "/a//b/../c", "/%2f?x=1&y=a%20b;z", "/status/"} {
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

func TestRetryWhereThatIsSafe(t *testing.T) {
	t.Parallel()
	kinds := map[string]string{
		"refuses":          refuse(t),
		"hangs up":         hangUp(t, ""),
		"begins to answer": hangUp(t, "HTTP/1.1 2"),
		"answers in part":  hangUp(t, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"),
		"answers with 503": hangUp(t, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
	}
	for _, test := range []struct {
		kind    string
		methods string
		body    string
		want    int // the code of the answer: 200 is from the other backend
	}{
		{"refuses", "GET HEAD OPTIONS PUT DELETE POST PATCH", "", 200},
		{"refuses", "PUT DELETE POST PATCH", "text", 200},
		{"hangs up", "GET HEAD OPTIONS PUT DELETE", "", 200},
		{"hangs up", "POST PATCH", "", 502},
		{"hangs up", "PUT DELETE POST PATCH", "text", 502},
		{"begins to answer", "GET HEAD OPTIONS PUT DELETE POST PATCH", "", 502},
		{"answers with 503", "GET POST", "", 503}, // an answer is an answer
	} {
		for _, method := range strings.Fields(test.methods) {
			t.Run(test.kind+"/"+method+" "+test.body, func(t *testing.T) {
				t.Parallel()
				lb, proxy := newProxy(t, kinds[test.kind], echo(t))
				code, text, err := request(t, method, proxy, test.body)
				if code != test.want || err != nil {
					t.Errorf("answer %d, error %v, want %d", code, err, test.want)
				}
				s, want := lb.status(), status{Requests: 1}
				switch test.want {
				case http.StatusOK:
					want.Retried = 1
					if method != "HEAD" && !strings.Contains(text, fmt.Sprintf("%s / %q", method, test.body)) {
						t.Errorf("the other backend got %q, want the request and its body %q", text, test.body)
					}
				case http.StatusBadGateway:
					want.Failed = 1
				}
				if s.Requests != want.Requests || s.Failed != want.Failed || s.Retried != want.Retried || s.Backends[0].Requests != 1 {
					t.Errorf("status %+v, want %+v and one request for the first backend", s, want)
				}
			})
		}
	}
	t.Run("answers in part", func(t *testing.T) {
		t.Parallel()
		lb, proxy := newProxy(t, kinds["answers in part"], echo(t))
		if code, text, err := request(t, "GET", proxy, ""); err == nil {
			t.Errorf("answer %d %q, want an error", code, text)
		}
		if s := lb.status(); s.Failed != 1 || s.Retried != 0 || s.Backends[0].InFlight != 0 {
			t.Errorf("status %+v, want a failed request and none in flight", s)
		}
	})
}

func TestNobodyIsThere(t *testing.T) {
	t.Parallel()
	lb, proxy := newProxy(t)
	if code, _, _ := request(t, "GET", proxy, ""); code != http.StatusServiceUnavailable {
		t.Errorf("without a backend: answer %d, want 503", code)
	}
	lb.setBackends([]string{"mailto:nobody", "javascript:alert(1)", "a name", "http://", "http://127.0.0.1:%"})
	if code, _, _ := request(t, "GET", proxy, ""); code != http.StatusServiceUnavailable {
		t.Errorf("without a name that is a URL: answer %d, want 503", code)
	}
	lb.setBackends([]string{refuse(t), refuse(t), refuse(t), refuse(t)})
	if code, _, _ := request(t, "GET", proxy, ""); code != http.StatusBadGateway {
		t.Errorf("with backends that are down: answer %d, want 502", code)
	}
	if s := lb.status(); s.Requests != 3 || s.Failed != 3 || s.Retried != maxTries-1 {
		t.Errorf("status %+v, want 3 requests, all failed, and %d retries", s, maxTries-1)
	}
}
