package web

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

// All that the library counts can be seen.
func TestMetricsAreAllStats(t *testing.T) {
	t.Parallel()
	if got, want := len(metrics), reflect.TypeFor[gopherdiscovery.Stats]().NumField(); got != want {
		t.Errorf("%d metrics, want one for each of %d fields of Stats", got, want)
	}
}

func TestAcceptHealth(t *testing.T) {
	t.Parallel()
	type look struct {
		at     time.Duration
		errors uint64
		want   bool
	}
	for _, test := range []struct {
		name  string
		looks []look
	}{
		{"never", []look{{0, 0, false}, {time.Hour, 0, false}}},
		{"from the start", []look{{0, 1, true}, {9 * time.Second, 1, true}, {10 * time.Second, 1, false}}},
		{"once", []look{
			{0, 0, false}, {5 * time.Second, 3, true}, {14*time.Second + 999*time.Millisecond, 3, true}, {15 * time.Second, 3, false}, {time.Hour, 3, false},
		}},
		{"still rising", []look{{0, 1, true}, {8 * time.Second, 2, true}, {16 * time.Second, 3, true}, {25 * time.Second, 3, true}, {26 * time.Second, 3, false}}},
		{"again", []look{{0, 1, true}, {time.Minute, 1, false}, {2 * time.Minute, 2, true}, {3 * time.Minute, 2, false}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var h acceptHealth
			start := time.Now()
			for _, look := range test.looks {
				if got := h.failing(look.errors, start.Add(look.at)); got != look.want {
					t.Errorf("after %v, with %d errors: failing %t, want %t", look.at, look.errors, got, look.want)
				}
			}
		})
	}
}

// A question that comes late is not told of what is over.
func TestAcceptHealthLooksByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var h acceptHealth
		var errors atomic.Uint64
		go h.run(ctx, errors.Load)
		time.Sleep(time.Minute)
		errors.Add(1)
		time.Sleep(healthMemory - time.Millisecond)
		if !h.failing(errors.Load(), time.Now()) {
			t.Error("not failing 10 s after an error, want it to be")
		}
		errors.Add(1)
		time.Sleep(healthMemory + healthInterval)
		if h.failing(errors.Load(), time.Now()) {
			t.Error("failing 11 s after an error, want it not to be")
		}
	})
}

func TestHealth(t *testing.T) {
	t.Parallel()
	server := clitest.StartServer(t, "tcp://127.0.0.1:0", "tcp://127.0.0.1:0", gopherdiscovery.Options{})
	for deadline := time.Now().Add(clitest.Patience); !server.Stats().Complete; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the server's list does not become complete")
		}
	}
	quiet := clitest.Quiet.Logger
	unready, err := gopherdiscovery.Server("tcp://127.0.0.1:0", "tcp://127.0.0.1:0", gopherdiscovery.Options{ReturnTime: time.Hour, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer unready.Close()
	for _, test := range []struct {
		name   string
		path   string
		server *gopherdiscovery.DiscoveryServer
		errors uint64
		code   int
		status string
	}{
		{"healthy", "/healthz", server, 0, http.StatusOK, "ok"},
		{"healthy but not ready", "/healthz", unready, 0, http.StatusOK, "ok"},
		{"cannot accept", "/healthz", server, 1, http.StatusServiceUnavailable, "cannot accept connections"},
		{"ready", "/readyz", server, 0, http.StatusOK, "ok"},
		{"not ready", "/readyz", unready, 0, http.StatusServiceUnavailable, "the list is not complete yet"},
		{"ready but cannot accept", "/readyz", server, 1, http.StatusOK, "ok"},
	} {
		t.Run(test.name, func(t *testing.T) {
			health := new(acceptHealth)
			health.failing(test.errors, time.Now())
			w := httptest.NewRecorder()
			newHandler(t.Context(), newBoard(test.server), health, quiet).ServeHTTP(w, httptest.NewRequest(http.MethodGet, test.path, nil))
			var got struct {
				Status                         string
				Clients, Subscribers, Services *int
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatalf("%s: %v", w.Body, err)
			}
			if w.Code != test.code || got.Status != test.status || got.Clients == nil || got.Subscribers == nil || got.Services == nil {
				t.Errorf("%d %s, want %d, %q and the counts", w.Code, w.Body, test.code, test.status)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type %q, want application/json", got)
			}
		})
	}
}
