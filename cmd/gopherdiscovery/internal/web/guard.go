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
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := strings.ToLower((&url.URL{Host: r.Host}).Hostname())
		if _, err := netip.ParseAddr(host); err != nil && host != "" && host != "localhost" && !slices.Contains(names, host) {
			http.Error(w, fmt.Sprintf("the host %q is neither an IP address nor localhost: -http-host allows it", host), http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}
