// Package web shows a gopherdiscovery server over HTTP: to people a page, and
// to programs the list in JSON, targets for Prometheus, and its health.
//
//	/               the page, which is live in a browser with scripts
//	/peers          the names, as a JSON array
//	/prometheus/sd  the names with a host and a port, for http_sd_configs
//	/healthz        200, or 503 while connections cannot be accepted
//	/readyz         503 until the list is complete, and 200 then
//
// Metrics are in the package promcollector beside this one.
//
// # Lists
//
// /peers and /prometheus/sd answer 503 until the list is complete, as
// [gopherdiscovery.Stats] defines it, and never an empty list instead: a reader
// would forget all peers when the server restarts.
//
// With ?match=cache+* both are about the names that match, and so are the
// changes for which a request waits. In the pattern * stands for any
// characters, and all else for itself. A plus sign there is no space.
//
// Both have an ETag, which is the same for the same list, also from another
// server. With the ETag in If-None-Match the answer is 304 if nothing has
// changed. With ?wait=30s as well, the answer comes when something changes, or
// after that time. The longest wait is 30 seconds, or half of the WriteTimeout
// of the [http.Server] if that is less.
//
// # Where to put it
//
// The handler needs its own path or host. Its page uses relative URLs, so that
// a prefix with a slash at its end works:
//
//	handler := web.NewHandler(server, server.Changes())
//	http.Handle("/discovery/", http.StripPrefix("/discovery", handler))
//
// It changes nothing, and answers anyone who can reach it: limits of
// connections, access control and a check of the Host header are up to the
// program.
package web

import (
	"encoding/json"
	"net/http"

	"github.com/dahernan/gopherdiscovery"
)

// source is what a handler asks of a [gopherdiscovery.DiscoveryServer].
type source interface {
	Services() []string
	Silent() []string
	Stats() gopherdiscovery.Stats
	URLs() (server, pubsub string)
}

// NewHandler returns a handler of the paths of this package. The lists come
// from server.Changes(), and the handler is their one reader from now on;
// server.Services still returns the list. It serves until the server has ended,
// and answers 503 from then on; requests that wait are answered at once. Times
// on the page are those at which the handler has seen a change, so create it
// when the server has been started.
func NewHandler(server *gopherdiscovery.DiscoveryServer, lists <-chan []string) http.Handler {
	return newHandler(server, lists)
}

func newHandler(server source, lists <-chan []string) http.Handler {
	b := newBoard(server)
	go b.run(lists)
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", newPage(b))
	mux.HandleFunc("GET /peers", func(w http.ResponseWriter, r *http.Request) {
		whole := func(s *snapshot) document { return s.peers() }
		serveDocument(b, w, r, whole, func(list []string) document { return newDocument(list) })
	})
	mux.HandleFunc("GET /prometheus/sd", func(w http.ResponseWriter, r *http.Request) {
		whole := func(s *snapshot) document { return s.targets() }
		serveDocument(b, w, r, whole, func(list []string) document { return newDocument(targets(list)) })
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		now, _ := b.look()
		trouble := ""
		if now.failing {
			trouble = "cannot accept connections"
		}
		answer(w, trouble, now.stats)
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		now, _ := b.look()
		trouble := ""
		if !now.stats.Complete {
			trouble = errIncomplete.text
		}
		answer(w, trouble, now.stats)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-b.ended:
			errEnded.serve(w)
		default:
			mux.ServeHTTP(w, r)
		}
	})
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
