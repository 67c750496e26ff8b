package web_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

var paths = []string{"/", "/peers", "/prometheus/sd", "/healthz", "/readyz"}

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, io.EOF
}

func TestNoBodyIsRead(t *testing.T) {
	t.Parallel()
	h := handler(t, newServer())
	for _, path := range paths {
		for _, kind := range []string{"multipart/form-data; boundary=x", "application/x-www-form-urlencoded"} {
			r := httptest.NewRequest(http.MethodGet, path, unread{t})
			r.Header.Set("Content-Type", kind)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			want(t, w, http.StatusOK)
		}
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		path     string
		complete bool
		errors   uint64
		code     int
		status   string
	}{
		{"healthy", "/healthz", true, 0, http.StatusOK, "ok"},
		{"healthy but not ready", "/healthz", false, 0, http.StatusOK, "ok"},
		{"cannot accept", "/healthz", true, 1, http.StatusServiceUnavailable, "cannot accept connections"},
		{"ready", "/readyz", true, 0, http.StatusOK, "ok"},
		{"not ready", "/readyz", false, 0, http.StatusServiceUnavailable, "the list is not complete yet"},
		{"ready but cannot accept", "/readyz", true, 1, http.StatusOK, "ok"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newServer("a", "b", "c")
			h := handler(t, s)
			s.change(func(stats *gopherdiscovery.Stats) {
				stats.Clients, stats.Subscribers, stats.Complete, stats.AcceptErrors = 1, 2, test.complete, test.errors
			})
			w := get(h, test.path)
			var got any
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatalf("%s: %v", w.Body, err)
			}
			all := map[string]any{"status": test.status, "clients": 1.0, "subscribers": 2.0, "services": 3.0}
			if w.Code != test.code || !reflect.DeepEqual(got, any(all)) {
				t.Errorf("%d %v, want %d %v", w.Code, got, test.code, all)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type %q, want application/json", got)
			}
		})
	}
}

// A question that comes late is not told of what is over, nor of what was
// before.
func TestHealthOfThePast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		fail := func(stats *gopherdiscovery.Stats) { stats.AcceptErrors++ }
		s.change(fail)
		h := handler(t, s)
		want(t, get(h, "/healthz"), http.StatusOK)
		s.change(fail)
		time.Sleep(9 * time.Second)
		want(t, get(h, "/healthz"), http.StatusServiceUnavailable)
		time.Sleep(2 * time.Second) // the failure is seen within a second
		want(t, get(h, "/healthz"), http.StatusOK)
		s.change(fail)
		time.Sleep(time.Hour)
		want(t, get(h, "/healthz"), http.StatusOK)
	})
}

// What a server has told is old when it has ended.
func TestEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer("http://a:1")
		h := handler(t, s)
		for _, path := range paths {
			want(t, get(h, path), http.StatusOK)
		}
		s.end()
		synctest.Wait()
		for _, path := range paths {
			want(t, get(h, path), http.StatusServiceUnavailable, "the server has ended")
		}
	})
}

// A request that waits is answered before the program's HTTP server gives it
// up.
func TestWriteTimeoutOfTheProgram(t *testing.T) {
	t.Parallel()
	h := handler(t, newServer("http://a:1"))
	server := httptest.NewUnstartedServer(h)
	server.Config.WriteTimeout = 2 * time.Second
	server.Start()
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/peers?wait=30s", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("If-None-Match", get(h, "/peers").Header().Get("ETag"))
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusNotModified {
		t.Errorf("%s, want 304", response.Status)
	}
}
