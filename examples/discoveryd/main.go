// Discoveryd is a gopherdiscovery server as a program, for clusters in which no program embeds one. From the root of the
// repository:
//
//	go run ./examples/discoveryd -http 127.0.0.1:20007
//
// The flags are in options.go, who may announce what with -require-cert-name in authorize.go, and /metrics in metrics.go.
package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/examples/internal/cli"
)

func main() { cli.Main("discoveryd", run) }

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	o.flags.Daemon()
	logger := o.discovery.Logger

	var listener net.Listener
	if o.http != "" {
		if listener, err = cli.Listen(ctx, o.http); err != nil {
			return err
		}
		defer listener.Close()
	}
	server, err := gopherdiscovery.ServerContext(ctx, o.server, o.pubsub, o.discovery)
	if err != nil {
		return err
	}
	defer func() {
		_ = server.Close()
		logger.Info("discoveryd has ended")
	}()
	survey, pubsub := server.URLs() // with the ports that the system chose
	running := logger.With("server", survey, "pubsub", pubsub)

	if listener == nil {
		running.Info("discoveryd is running")
		server.Wait() // ends with ctx
		return nil
	}
	health := new(acceptHealth)
	go health.run(ctx, func() uint64 { return server.Stats().AcceptErrors })
	running.Info("discoveryd is running", "http", listener.Addr().String())
	return cli.Serve(ctx, listener, handler(server, health, logger), logger)
}

func handler(server *gopherdiscovery.DiscoveryServer, health *acceptHealth, logger *slog.Logger) http.Handler {
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
