// Package peer is shared by the examples in which HTTP services find each
// other. It says how a peer is named, and starts the peers of a demonstration
// as processes.
package peer

import (
	"net"
	"net/netip"
	"net/url"

	"github.com/dahernan/gopherdiscovery/internal/cli"
)

// NameFlag adds the flag -name.
func NameFlag(flags *cli.Flags) *string {
	return flags.String("name", "", "`URL` by which the others reach this one (default http:// and the address of -http)")
}

// Name returns the name to announce: the value of -name, or else the URL of the
// address on which the peer listens.
func Name(given, address string, listening net.Addr) (string, error) {
	if given == "" {
		if tcp, ok := listening.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
			return "", cli.Usagef("-http %s names no host by which the others reach this one: it needs a -name", listening)
		}
		return URL(address, listening), nil
	}
	u, err := url.Parse(given)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" ||
		given != u.Scheme+"://"+u.Host && given != hostURL(u.Scheme, u.Host) {
		return "", cli.Usagef("-name %q is not of the form http://host:port", given)
	}
	return given, nil
}

// URL returns the URL of a program that listens. The address is the value of
// -http. It is needed for its IPv6 zone, which the listener's address lacks if
// the system listens with Multipath TCP.
func URL(address string, listening net.Addr) string {
	if tcp, ok := listening.(*net.TCPAddr); ok && tcp.IP.IsLinkLocalUnicast() && tcp.Zone == "" {
		if given, err := netip.ParseAddrPort(address); err == nil {
			listening = &net.TCPAddr{IP: tcp.IP, Port: tcp.Port, Zone: given.Addr().Zone()}
		}
	}
	return hostURL("http", listening.String())
}

// hostURL returns a URL in which the % before an IPv6 zone is written as %25,
// as RFC 6874 wants it.
func hostURL(scheme, host string) string { return (&url.URL{Scheme: scheme, Host: host}).String() }
