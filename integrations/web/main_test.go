package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/integrations/web"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

func TestMain(m *testing.M) {
	testmain.Main(m, "dahernan/gopherdiscovery", "go.nanomsg.org/mangos/", "google.golang.org/grpc")
}

// fakeServer tells what a test has set.
type fakeServer struct {
	lists chan []string // receives when the list has changed
	end   func()        // closes lists
	asked atomic.Int32

	mu     sync.Mutex // guards the fields below
	list   []string
	silent []string
	stats  gopherdiscovery.Stats
}

// newServer returns one whose list is complete.
func newServer(names ...string) *fakeServer {
	s := &fakeServer{lists: make(chan []string, 1)}
	s.end = sync.OnceFunc(func() { close(s.lists) })
	s.stats.Complete = true
	s.set(names...)
	return s
}

func (s *fakeServer) Services() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.list...)
}

func (s *fakeServer) Silent() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.silent
}

func (s *fakeServer) Stats() gopherdiscovery.Stats {
	s.asked.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

func (s *fakeServer) URLs() (server, pubsub string) {
	return "tcp://10.0.0.1:40007", "tcp://10.0.0.1:50007"
}

func (s *fakeServer) set(names ...string) {
	s.change(func(stats *gopherdiscovery.Stats) {
		s.list = slices.Sorted(slices.Values(names))
		stats.Services = len(names)
		stats.Lists++
	})
	select {
	case s.lists <- names:
	default:
	}
}

func (s *fakeServer) setSilent(names ...string) {
	s.change(func(*gopherdiscovery.Stats) { s.silent = names })
}

func (s *fakeServer) setComplete(complete bool) {
	s.change(func(stats *gopherdiscovery.Stats) { stats.Complete = complete })
}

func (s *fakeServer) change(do func(stats *gopherdiscovery.Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do(&s.stats)
}

// handler returns what serves the server until the test ends.
func handler(t *testing.T, s *fakeServer) http.Handler {
	t.Helper()
	t.Cleanup(s.end)
	return web.NewHandlerOf(s, s.lists)
}

// get asks with these header fields, in pairs.
func get(h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// want wants an answer with this code and all of these words.
func want(t *testing.T, w *httptest.ResponseRecorder, code int, words ...string) {
	t.Helper()
	body, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	if w.Code != code {
		t.Errorf("%d %s, want %d", w.Code, body, code)
	}
	for _, word := range words {
		if !strings.Contains(string(body), word) {
			t.Errorf("%s\nwant it to contain %s", body, word)
		}
	}
}
