package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/integrations/promcollector"
	"github.com/dahernan/gopherdiscovery/integrations/web"
)

// requestTime is how long a request may take, the 30 seconds included for which
// it may wait.
const requestTime = 40 * time.Second

// webHandler returns what -http serves at an address of this machine. Names are
// those of -http-host.
func webHandler(server *gopherdiscovery.DiscoveryServer, address net.Addr, names string, logger *slog.Logger) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		promcollector.New(server),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	mux := http.NewServeMux()
	mux.Handle("/", web.NewHandler(server, server.Changes()))
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelError),
	}))
	return hurry(guard(mux, address, names))
}

// hurry returns h for clients that may read and write slowly. The server of
// net/http reads some of a body before it answers, and writes for as long as
// the client reads.
func hurry(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		deadline := time.Now().Add(requestTime)
		conn := http.NewResponseController(w)
		_ = conn.SetReadDeadline(deadline) // a test's recorder has no deadlines
		_ = conn.SetWriteDeadline(deadline)
		h.ServeHTTP(w, r)
	})
}

// guard returns a handler that answers 403 if the host of a request is a name,
// except localhost and these, which are separated by commas. Otherwise a web
// site whose name resolves to this machine could read in a browser here what
// only this machine should. It returns h if there are no names and the address
// is not a loopback address, which others reach anyway.
func guard(h http.Handler, address net.Addr, names string) http.Handler {
	if tcp, ok := address.(*net.TCPAddr); names == "" && (!ok || !tcp.IP.IsLoopback()) {
		return h
	}
	allowed := []string{"", "localhost"} // no browser leaves it out
	for name := range strings.SplitSeq(names, ",") {
		allowed = append(allowed, hostname(name))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostname(r.Host)
		if _, err := netip.ParseAddr(host); err != nil && !slices.Contains(allowed, host) {
			http.Error(w, fmt.Sprintf("the host %q is neither an IP address nor localhost: -http-host allows it", host), http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// hostname returns a host without its port and brackets.
func hostname(host string) string { return strings.ToLower((&url.URL{Host: host}).Hostname()) }
