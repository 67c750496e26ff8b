package balance

import (
	"cmp"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// hide replaces a Location that names the backend by a path on the host that
// the caller knows, who would otherwise leave the balancer.
func hide(backend *url.URL, header http.Header) {
	location, err := url.Parse(header.Get("Location"))
	if err != nil || location.Host == "" || !isSameHost(location, backend) {
		return
	}
	path, below := strings.CutPrefix(location.EscapedPath(), strings.TrimSuffix(backend.EscapedPath(), "/"))
	path = cmp.Or(path, "/")
	if !below || path[0] != '/' || strings.HasPrefix(path, "//") { // which would name a host
		return
	}
	location.Scheme, location.Opaque = "", path
	header.Set("Location", location.String())
}

// isSameHost reports whether a URL is one of the backend. It may lack the
// scheme.
func isSameHost(u, backend *url.URL) bool {
	scheme := cmp.Or(u.Scheme, backend.Scheme)
	return scheme == backend.Scheme && strings.EqualFold(hostPort(u, scheme), hostPort(backend, scheme))
}

func hostPort(u *url.URL, scheme string) string {
	port := map[string]string{"http": "80", "https": "443"}[scheme]
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port))
}
