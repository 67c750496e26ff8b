// Package peer reads hosts and ports out of the names that services announce.
//
// Any client may announce any name. The results of this package are safe in
// the configuration of a program, quoted or not: it has no space, no control
// character, and no character that is special in the usual formats.
package peer

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/dahernan/gopherdiscovery/internal/names"
)

// ErrUnusable is matched by the errors of [Parse].
var ErrUnusable = errors.New("not a usable host and port")

// Peer is the host and port of a name.
type Peer struct {
	// Kind is what the name begins with before a plus sign, as cache of
	// cache+http://10.0.0.2:8080, in lower case: letters, digits, "-" and ".".
	// It is empty if there is none.
	Kind string

	// Scheme is the scheme of a URL behind the kind, in lower case: letters,
	// digits, "+", "-" and ".". It is empty if that is just a host and a port.
	Scheme string

	// Host is an IP address without brackets or zone, or a DNS name in lower
	// case: letters, digits, "-", "_" and ".".
	Host string

	// Port is from 1 to 65535.
	Port int

	// Address is Host:Port, with brackets around an IPv6 address.
	Address string

	// IP reports whether Host is an IP address.
	IP bool
}

// Parse reads a name such as http://10.0.0.2:8080 or 10.0.0.2:8080, or one of
// these with a kind in front. The port must be there. The rest of a URL,
// such as a path, is ignored. The error matches [ErrUnusable].
//
// An IPv6 address with a zone is refused, since it means something on one
// machine only, and so is an address that is not one of a machine: the
// unspecified address and those of multicast.
func Parse(name string) (Peer, error) {
	kind, rest := names.Split(name)
	scheme, hostPort := "", rest
	if strings.Contains(rest, "://") {
		u, err := url.Parse(rest)
		if err != nil {
			return Peer{}, fmt.Errorf("%q: %w: not a URL", name, ErrUnusable)
		}
		scheme, hostPort = u.Scheme, u.Host
	}
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return Peer{}, fmt.Errorf("%q: %w: want HOST:PORT", name, ErrUnusable)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return Peer{}, fmt.Errorf("%q: %w: want a port from 1 to 65535", name, ErrUnusable)
	}
	host, isIP, ok := parseHost(host)
	if !ok {
		return Peer{}, fmt.Errorf("%q: %w: the host is neither a DNS name nor the address of a machine", name, ErrUnusable)
	}
	return Peer{strings.ToLower(kind), scheme, host, int(number), net.JoinHostPort(host, strconv.Itoa(int(number))), isIP}, nil
}

// A label of a host name, RFC 1123 section 2.1, or with underscores, as the
// names of containers have them.
const label = `[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?`

var (
	dnsName = regexp.MustCompile(`^(?:` + label + `\.)*` + label + `\.?$`)
	// Resolvers read such a name as an IPv4 address, in ways that differ.
	likeIPv4 = regexp.MustCompile(`(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)\.?$`)
)

// maxDNSName is the length of a DNS name without its last dot, RFC 1035
// section 2.3.4.
const maxDNSName = 253

func parseHost(host string) (canonical string, isIP, ok bool) {
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.Unmap()
		return ip.String(), true, ip.Zone() == "" && !ip.IsUnspecified() && !ip.IsMulticast()
	}
	host = strings.ToLower(host)
	return host, false, len(strings.TrimSuffix(host, ".")) <= maxDNSName && dnsName.MatchString(host) && !likeIPv4.MatchString(host)
}

// ParseAll returns the peers of a list of names, sorted by their addresses, DNS
// names first, and then by their kinds. Names of one kind that have the same
// address are one peer, which is the first that is http or https, or else the
// first. The errors are those of the names that are left out.
func ParseAll(list []string) (peers []Peer, unusable []error) {
	type place struct{ kind, address string }
	at := make(map[place]Peer)
	for _, name := range list {
		p, err := Parse(name)
		if err != nil {
			unusable = append(unusable, err)
			continue
		}
		where := place{p.Kind, p.Address}
		if known, found := at[where]; !found || known.GivesWayTo(p) {
			at[where] = p
		}
	}
	for _, p := range at {
		peers = append(peers, p)
	}
	slices.SortFunc(peers, compare)
	return peers, unusable
}

// GivesWayTo reports whether another peer with the same address is taken in
// place of this one: only the other one is http or https.
func (p Peer) GivesWayTo(other Peer) bool { return !p.isHTTP() && other.isHTTP() }

func (p Peer) isHTTP() bool { return p.Scheme == "http" || p.Scheme == "https" }

func compare(a, b Peer) int {
	var x, y netip.Addr // the zero value of names is less than any address
	if a.IP {
		x = netip.MustParseAddr(a.Host)
	}
	if b.IP {
		y = netip.MustParseAddr(b.Host)
	}
	return cmp.Or(x.Compare(y), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Kind, b.Kind))
}
