package grpcresolver

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/dahernan/gopherdiscovery/internal/names"
)

// defaultPorts are those of URLs that name none.
var defaultPorts = map[string]string{"http": "80", "https": "443"}

// parseName returns the address of a server, for net.Dial, and false if the
// name has none.
func parseName(name string) (address string, ok bool) {
	_, name = names.Split(name)
	host, port, err := net.SplitHostPort(name)
	if strings.Contains(name, "://") {
		host, port, err = splitURL(name)
	}
	if err != nil || host == "" || strings.ContainsAny(host, "/?#@ ") {
		return "", false
	}
	if _, err := netip.ParseAddr(host); err != nil && strings.Contains(host, ":") {
		return "", false
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", false
	}
	return net.JoinHostPort(host, port), true
}

func splitURL(name string) (host, port string, err error) {
	u, err := url.Parse(name)
	if err != nil {
		return "", "", err
	}
	port = u.Port()
	if port == "" {
		port = defaultPorts[u.Scheme]
	}
	return u.Hostname(), port, nil
}
