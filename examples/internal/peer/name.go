// Package peer is what the examples of HTTP services that find each other share: how a peer is named, and how a demonstration
// starts its peers as processes.
package peer

import (
	"net"
	"net/url"

	"github.com/dahernan/gopherdiscovery/examples/internal/cli"
)

// NameFlag adds the flag -name.
func NameFlag(flags *cli.Flags) *string {
	return flags.String("name", "", "`URL` by which the others reach this one (default http:// and the address of -http)")
}

// Name returns the name to announce: the one given by -name, or that of the address at which the peer listens.
func Name(given string, listening net.Addr) (string, error) {
	if given == "" {
		if tcp, ok := listening.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
			return "", cli.Usagef("-http %s names no host by which the others reach this one: it needs a -name", listening)
		}
		return "http://" + listening.String(), nil
	}
	u, err := url.Parse(given)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || given != u.Scheme+"://"+u.Host {
		return "", cli.Usagef("-name %q is not of the form http://host:port", given)
	}
	return given, nil
}
