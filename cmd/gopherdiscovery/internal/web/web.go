// Package web is what a server shows of itself over HTTP: a page for people,
// and for programs the list in JSON, as targets for Prometheus, its health and
// its metrics.
package web

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// Server is what a gopherdiscovery.DiscoveryServer tells.
type Server interface {
	Services() []string
	Changes() <-chan []string
	Stats() gopherdiscovery.Stats
	URLs() (server, pubsub string)
}

// exchangeTime is how long a request may take besides the time that it waits.
const exchangeTime = 10 * time.Second

// Handler serves all of the package until ctx ends: then no request waits any
// more. It reads no bodies.
func Handler(ctx context.Context, server Server, logger *slog.Logger) http.Handler {
	health := new(acceptHealth)
	go health.run(ctx, func() uint64 { return server.Stats().AcceptErrors })
	b := newBoard(server)
	go b.run(ctx)
	return newHandler(ctx, b, health, logger)
}

func newHandler(ctx context.Context, b *board, health *acceptHealth, logger *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", newPage(ctx, b, logger))
	mux.HandleFunc("GET /peers", func(w http.ResponseWriter, r *http.Request) {
		serveDocument(ctx, b, w, r, func(s *snapshot) document { return s.peers() })
	})
	mux.HandleFunc("GET /prometheus/sd", func(w http.ResponseWriter, r *http.Request) {
		serveDocument(ctx, b, w, r, func(s *snapshot) document { return s.targets() })
	})
	mux.Handle("GET /metrics", metricsHandler(b.server, logger))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		stats := b.server.Stats()
		trouble := ""
		if health.failing(stats.AcceptErrors, time.Now()) {
			trouble = "cannot accept connections"
		}
		answer(w, trouble, stats)
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		stats := b.server.Stats()
		trouble := ""
		if !stats.Complete {
			trouble = incomplete
		}
		answer(w, trouble, stats)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The server of net/http reads some of a body before it answers,
		// and writes for as long as the client reads.
		deadline := time.Now().Add(mostWait + exchangeTime)
		conn := http.NewResponseController(w)
		_ = conn.SetReadDeadline(deadline) // a test's recorder has no deadlines
		_ = conn.SetWriteDeadline(deadline)
		mux.ServeHTTP(w, r)
	})
}

// incomplete is what a client is told before the list is complete.
const incomplete = "the list is not complete yet"

// answer says that all is well, or what is not.
func answer(w http.ResponseWriter, trouble string, stats gopherdiscovery.Stats) {
	status, code := "ok", http.StatusOK
	if trouble != "" {
		status, code = trouble, http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{ // fails when the caller has gone
		"status":      status,
		"clients":     stats.Clients,
		"subscribers": stats.Subscribers,
		"services":    stats.Services,
	})
}
