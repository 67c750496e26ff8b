// Package web is what a server shows of itself over HTTP.
package web

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// Handler serves /healthz, /readyz and /metrics. What it starts ends with ctx.
func Handler(ctx context.Context, server *gopherdiscovery.DiscoveryServer, logger *slog.Logger) http.Handler {
	health := new(acceptHealth)
	go health.run(ctx, func() uint64 { return server.Stats().AcceptErrors })
	return newHandler(server, health, logger)
}

func newHandler(server *gopherdiscovery.DiscoveryServer, health *acceptHealth, logger *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metricsHandler(server, logger))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		stats := server.Stats()
		trouble := ""
		if health.failing(stats.AcceptErrors, time.Now()) {
			trouble = "cannot accept connections"
		}
		answer(w, trouble, stats)
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		stats := server.Stats()
		trouble := ""
		if !stats.Complete {
			trouble = "the list is not complete yet"
		}
		answer(w, trouble, stats)
	})
	return mux
}

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
