package web

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Guard returns h for an address that others reach too. On a loopback address
// it answers 403 if the host of a request is a name, except localhost and
// these. Otherwise a web site whose name resolves to this machine could read in
// a browser here what only this machine should.
func Guard(h http.Handler, address net.Addr, names []string) http.Handler {
	if tcp, ok := address.(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
		return h
	}
	allowed := []string{"", "localhost"} // no browser leaves it out
	for _, name := range names {
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
