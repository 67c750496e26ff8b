package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestPeers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		peers []string
		want  string
	}{
		{"nobody", nil, "[]\n"},
		{"some", []string{"b", "http://a?b&c<d>"}, `["b","http://a?b&c<d>"]` + "\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := handler(t, newServer(test.peers...))
			w := get(h, "/peers")
			if got := w.Body.String(); w.Code != http.StatusOK || got != test.want {
				t.Errorf("%d %q, want 200 and %q", w.Code, got, test.want)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type %q, want application/json", got)
			}
			again := handler(t, newServer(test.peers...))
			if before, after := w.Header().Get("ETag"), get(again, "/peers").Header().Get("ETag"); before == "" || before != after {
				t.Errorf("ETag %s, and %s of another server with the same list, want the same", before, after)
			}
		})
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	h := handler(t, newServer("cache+http://10.0.0.2:80", "cache+http://10.0.0.3:80", "web+http://10.0.0.2:8080"))
	for path, body := range map[string]string{
		"/peers?match=cache+*":                    `["cache+http://10.0.0.2:80","cache+http://10.0.0.3:80"]`,
		"/peers?match=cache%2B%2A":                `["cache+http://10.0.0.2:80","cache+http://10.0.0.3:80"]`,
		"/peers?match=*10.0.0.3*":                 `["cache+http://10.0.0.3:80"]`,
		"/peers?match=none":                       `[]`,
		"/peers?match=":                           `["cache+http://10.0.0.2:80","cache+http://10.0.0.3:80","web+http://10.0.0.2:8080"]`,
		"/prometheus/sd?match=cache+http://*.2:*": `[{"targets":["10.0.0.2:80"],`,
		"/prometheus/sd?match=none":               `[]`,
	} {
		w := get(h, path)
		if got := w.Body.String(); w.Code != http.StatusOK || !strings.HasPrefix(got, body) {
			t.Errorf("%s: %d %s, want %s", path, w.Code, got, body)
		}
		if strings.Contains(path, "/sd?match=cache") && strings.Contains(w.Body.String(), "8080") {
			t.Errorf("%s: %s, want no other targets", path, w.Body)
		}
	}
	for _, query := range []string{"a|b", "%00", "%zz"} {
		want(t, get(h, "/peers?match="+query), http.StatusBadRequest, "invalid query: ")
	}
}

// A change of others is no news.
func TestWaitForMatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer("cache+a", "web+a")
		h := handler(t, s)
		const path = "/peers?match=cache+*"
		etag := get(h, path).Header().Get("ETag")
		time.AfterFunc(5*time.Second, func() { s.set("cache+a", "web+a", "web+b") })
		time.AfterFunc(10*time.Second, func() { s.set("cache+a", "cache+b", "web+a", "web+b") })
		start := time.Now()
		want(t, get(h, path+"&wait=30s", "If-None-Match", etag), http.StatusOK, `["cache+a","cache+b"]`)
		if took := time.Since(start); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("answered after %v, want 10 s", took)
		}
	})
}

func TestETag(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/peers", "/prometheus/sd", "/"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			s := newServer("http://10.0.0.2:8080")
			h := handler(t, s)
			etag := get(h, path).Header().Get("ETag")
			for _, header := range []string{etag, "W/" + etag, `"x", ` + etag, "*"} {
				w := get(h, path, "If-None-Match", header)
				want(t, w, http.StatusNotModified)
				if got := w.Header().Get("ETag"); got != etag {
					t.Errorf("ETag %s, want %s", got, etag)
				}
			}
			want(t, get(h, path, "If-None-Match", `"x"`), http.StatusOK, "10.0.0.2:8080")
			s.set("http://10.0.0.3:8080")
			w := get(h, path, "If-None-Match", etag)
			want(t, w, http.StatusOK, "10.0.0.3:8080")
			if got := w.Header().Get("ETag"); got == etag {
				t.Errorf("ETag %s of another list, want another", got)
			}
		})
	}
}

// An empty list would tell a balancer or Prometheus to forget everyone.
func TestIncomplete(t *testing.T) {
	t.Parallel()
	s := newServer("http://10.0.0.2:8080")
	h := handler(t, s)
	for _, path := range []string{"/peers", "/prometheus/sd"} {
		want(t, get(h, path), http.StatusOK)
		s.setComplete(false)
		for _, query := range []string{"", "?wait=30s"} {
			w := get(h, path+query, "If-None-Match", "*")
			want(t, w, http.StatusServiceUnavailable, "not complete")
			if got := w.Header().Get("Retry-After"); got == "" {
				t.Error("no Retry-After")
			}
		}
		s.setComplete(true)
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/peers", "/prometheus/sd", "/"} {
		t.Run(path, func(t *testing.T) {
			for _, test := range []struct {
				name  string
				wait  string
				after func(s *fakeServer, gone context.CancelFunc) // happens 350 ms from now
				code  int
				took  time.Duration
			}{
				{"nothing", "20s", func(*fakeServer, context.CancelFunc) {}, http.StatusNotModified, 20 * time.Second},
				{"nothing, longest", "1h", func(*fakeServer, context.CancelFunc) {}, http.StatusNotModified, 30 * time.Second},
				{"no wait", "0s", func(*fakeServer, context.CancelFunc) {}, http.StatusNotModified, 0},
				{"join", "30s", func(s *fakeServer, _ context.CancelFunc) { s.set("http://a:1", "http://b:2") }, http.StatusOK, 350 * time.Millisecond},
				{"client gone", "30s", func(_ *fakeServer, gone context.CancelFunc) { gone() }, http.StatusServiceUnavailable, 350 * time.Millisecond},
				{"end", "30s", func(s *fakeServer, _ context.CancelFunc) { s.end() }, http.StatusServiceUnavailable, 350 * time.Millisecond},
			} {
				t.Run(test.name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						s := newServer("http://a:1")
						h := handler(t, s)
						etag := get(h, path).Header().Get("ETag")
						ctx, gone := context.WithCancel(t.Context())
						defer gone()
						r := httptest.NewRequestWithContext(ctx, http.MethodGet, path+"?wait="+test.wait, nil)
						r.Header.Set("If-None-Match", etag)
						start := time.Now()
						timer := time.AfterFunc(350*time.Millisecond, func() { test.after(s, gone) })
						defer timer.Stop()
						w := httptest.NewRecorder()
						h.ServeHTTP(w, r)
						want(t, w, test.code)
						if took := time.Since(start); took < test.took || took > test.took+100*time.Millisecond {
							t.Errorf("answered after %v, want %v", took, test.took)
						}
					})
				})
			}
		})
	}
}

// A program is woken seldom while nobody waits.
func TestIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer("http://a:1")
		h := handler(t, s)
		want(t, get(h, "/peers?wait=5s", "If-None-Match", "*"), http.StatusNotModified)
		time.Sleep(time.Second)
		before := s.asked.Load()
		time.Sleep(time.Minute)
		if asked := s.asked.Load() - before; asked < 50 || asked > 70 {
			t.Errorf("asked %d times in a minute, want once a second", asked)
		}
	})
}

// A client that waits is told when the list is no longer complete.
func TestIncompleteWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer("a")
		h := handler(t, s)
		etag := get(h, "/peers").Header().Get("ETag")
		time.AfterFunc(time.Second, func() { s.setComplete(false) })
		want(t, get(h, "/peers?wait=30s", "If-None-Match", etag), http.StatusServiceUnavailable)
	})
}

func TestBadWait(t *testing.T) {
	t.Parallel()
	h := handler(t, newServer())
	for _, wait := range []string{"soon", "60", "-1s"} {
		want(t, get(h, "/peers?wait="+wait), http.StatusBadRequest, "wait", wait)
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	h := handler(t, newServer(
		"https://10.0.0.4:8443/path", "http://10.0.0.3:8080", "http://10.0.0.2:8080", "http://10.0.0.2:8080/again",
		"10.0.0.5:8080", "http://10.0.0.5:8080", "https://10.0.0.5:8080", // one address, one target
		"Cache+http://10.0.0.3:8080", "cache+http://10.0.0.3:8080/again", // and another kind
		"10.0.0.9:9100", "grpc://[2001:db8::1]:50051", "worker 7", "http://no-port", "http://:80", `http://x"; y:80`,
	))
	w := get(h, "/prometheus/sd")
	const want = `[{"targets":["10.0.0.5:8080"],"labels":{"__meta_gopherdiscovery_name":"http://10.0.0.5:8080","__scheme__":"http"}},` +
		`{"targets":["10.0.0.9:9100"],"labels":{"__meta_gopherdiscovery_name":"10.0.0.9:9100"}},` +
		`{"targets":["10.0.0.3:8080"],"labels":{"__meta_gopherdiscovery_kind":"cache","__meta_gopherdiscovery_name":"Cache+http://10.0.0.3:8080","__scheme__":"http"}},` +
		`{"targets":["[2001:db8::1]:50051"],"labels":{"__meta_gopherdiscovery_name":"grpc://[2001:db8::1]:50051"}},` +
		`{"targets":["10.0.0.2:8080"],"labels":{"__meta_gopherdiscovery_name":"http://10.0.0.2:8080","__scheme__":"http"}},` +
		`{"targets":["10.0.0.3:8080"],"labels":{"__meta_gopherdiscovery_name":"http://10.0.0.3:8080","__scheme__":"http"}},` +
		`{"targets":["10.0.0.4:8443"],"labels":{"__meta_gopherdiscovery_name":"https://10.0.0.4:8443/path","__scheme__":"https"}}]` + "\n"
	if got := w.Body.String(); w.Code != http.StatusOK || got != want {
		t.Errorf("%d %s, want %s", w.Code, got, want)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q, want application/json", got)
	}
	none := handler(t, newServer("worker 7"))
	if got := get(none, "/prometheus/sd").Body.String(); got != "[]\n" {
		t.Errorf("without any host and port: %q, want []", got)
	}
}
