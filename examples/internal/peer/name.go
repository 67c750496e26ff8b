// Package peer is what the examples of HTTP services that find each other share: how a peer is named, and how a demonstration
// starts its peers as processes.
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

// Name returns the name to announce: the one given by -name, or the URL of the
// address at which the peer listens.
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

// URL returns the URL of a program that listens. The address is that of -http:
// the IPv6 zone in it is missing in the listener's address if the system listens
// with Multipath TCP.
func URL(address string, listening net.Addr) string {
	if tcp, ok := listening.(*net.TCPAddr); ok && tcp.IP.IsLinkLocalUnicast() && tcp.Zone == "" {
		if given, err := netip.ParseAddrPort(address); err == nil {
			listening = &net.TCPAddr{IP: tcp.IP, Port: tcp.Port, Zone: given.Addr().Zone()}
		}
	}
	return hostURL("http", listening.String())
}

// hostURL turns the % before an IPv6 zone into the %25 of RFC 6874.
func hostURL(scheme, host string) string { return (&url.URL{Scheme: scheme, Host: host}).String() }
