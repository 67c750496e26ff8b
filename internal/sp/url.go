package sp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// An Address is a parsed URL: tcp://host:port, tls+tcp://host:port, ipc://path,
// inproc://name, or any target of another scheme.
type Address struct {
	scheme string
	target string
}

// String returns the URL.
func (a Address) String() string { return a.scheme + "://" + a.target }

// hasPortZero reports whether the system chooses the port of the address.
func (a Address) hasPortZero() bool {
	return a.isTCP() && strings.HasSuffix(a.target, ":0")
}

// IsTLS reports whether the address is one of TLS.
func (a Address) IsTLS() bool { return a.scheme == "tls+tcp" }

func (a Address) isTCP() bool { return a.scheme == "tcp" || a.IsTLS() }

// isOurs reports whether the address uses one of our own transports.
func (a Address) isOurs() bool { return a.isTCP() || a.scheme == "ipc" }

// host returns the host of a TCP address. The IP address is invalid if the host
// is a name or empty.
func (a Address) host() (host string, ip netip.Addr) {
	host, _, _ = net.SplitHostPort(a.target)
	ip, _ = netip.ParseAddr(host)
	return host, ip
}

// ServerName returns the name that the certificate of the server must have. It
// leaves out an IPv6 zone, which only says how the server is reached.
func (a Address) ServerName() string {
	host, ip := a.host()
	if ip.IsValid() {
		return ip.WithZone("").String()
	}
	return host
}

// ParseListenURL parses a URL to listen on. Errors name the argument arg.
func ParseListenURL(arg, url string) (Address, error) {
	return parseURL(arg, url, 0)
}

// ParseDialURLs parses URLs to connect to, separated by commas. Errors name the
// argument arg.
func ParseDialURLs(arg, urls string) ([]Address, error) {
	var all []Address
	for url := range strings.SplitSeq(urls, ",") {
		a, err := parseURL(arg, url, 1)
		if err != nil {
			return nil, err
		}
		if slices.Contains(all, a) {
			return nil, fmt.Errorf("%w: %s %q: %s is named twice", ErrInvalidURL, arg, urls, a)
		}
		all = append(all, a)
	}
	return all, nil
}

func parseURL(arg, url string, lowestPort uint64) (Address, error) {
	scheme, target, found := strings.Cut(url, "://")
	a := Address{scheme: scheme, target: target}
	err := errors.New("want scheme://address")
	if found {
		err = a.check(lowestPort)
	}
	if err != nil {
		return Address{}, fmt.Errorf("%w: %s %q: %w", ErrInvalidURL, arg, url, err)
	}
	return a, nil
}

// check checks an address, and brings its target into the form that package net
// expects.
func (a *Address) check(lowestPort uint64) error {
	switch {
	case a.target == "":
		return errors.New("no address after the scheme")
	case strings.ContainsRune(a.target, 0):
		return errors.New("contains a zero byte")
	case a.isTCP():
		return a.checkHostPort(lowestPort)
	case a.scheme == "ipc":
		return a.checkPath()
	case !isRegistered(a.scheme):
		return fmt.Errorf("unknown scheme %q", a.scheme)
	}
	return nil
}

// checkPath makes the path absolute. The file then stays the same when the
// process changes its directory, and "@name" is a file, as it is for nanomsg
// and nng but not for package net.
func (a *Address) checkPath() (err error) {
	if a.target, err = filepath.Abs(pathOf(a.target, runtime.GOOS)); err != nil {
		return err
	}
	if len(a.target) > maxIPCPath {
		return fmt.Errorf("the path %s is %d bytes long, the system allows %d", a.target, len(a.target), maxIPCPath)
	}
	return nil
}

// pathOf returns the path of an ipc URL on a system. On Windows, as in a file
// URL, the slash before the letter of a drive is no part of it.
func pathOf(target, goos string) string {
	if goos == "windows" && len(target) > 2 && target[0] == '/' && target[2] == ':' {
		return target[1:]
	}
	return target
}

func (a *Address) checkHostPort(lowestPort uint64) error {
	host, port, err := net.SplitHostPort(a.target)
	if err != nil {
		var reason *net.AddrError
		if errors.As(err, &reason) {
			return errors.New(reason.Err)
		}
		return err
	}
	if port == "" {
		return errors.New("missing port in address")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n < lowestPort {
		return fmt.Errorf("port %q is not a number from %d to 65535", port, lowestPort)
	}
	if host == "*" && lowestPort == 0 {
		host = ""
	}
	if strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || strings.ContainsRune("*/\\?#@;,|", r) }) {
		return fmt.Errorf("malformed host %q", host)
	}
	a.target = net.JoinHostPort(host, strconv.FormatUint(n, 10))
	return nil
}

// CheckDistinct returns an error if an address is used for surveys and lists.
func CheckDistinct(surveys, pubsubs []Address) error {
	for _, a := range pubsubs {
		if slices.Contains(surveys, a) && !a.hasPortZero() {
			return fmt.Errorf("%w: urlPubSub %q: the same address as urlServer", ErrInvalidURL, a)
		}
	}
	return nil
}
