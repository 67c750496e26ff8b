package gopherdiscovery

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

// address is a parsed URL: tcp://host:port, tls+tcp://host:port, ipc://path,
// inproc://name, or any target of another scheme.
type address struct {
	scheme string
	target string
}

func (a address) String() string { return a.scheme + "://" + a.target }

// hasPortZero reports whether the system chooses the port of the address.
func (a address) hasPortZero() bool {
	return a.isTCP() && strings.HasSuffix(a.target, ":0")
}

func (a address) isTLS() bool { return a.scheme == "tls+tcp" }

func (a address) isTCP() bool { return a.scheme == "tcp" || a.isTLS() }

// isOurs reports whether the address uses one of our own transports.
func (a address) isOurs() bool { return a.isTCP() || a.scheme == "ipc" }

// host returns the host of a TCP address. The IP address is invalid if the host
// is a name or empty.
func (a address) host() (host string, ip netip.Addr) {
	host, _, _ = net.SplitHostPort(a.target)
	ip, _ = netip.ParseAddr(host)
	return host, ip
}

// serverName returns the name that the certificate of the server must have. It
// leaves out an IPv6 zone, which only says how the server is reached.
func (a address) serverName() string {
	host, ip := a.host()
	if ip.IsValid() {
		return ip.WithZone("").String()
	}
	return host
}

// parseListenURL parses a URL to listen on. Errors name the argument arg.
func parseListenURL(arg, url string) (address, error) {
	return parseURL(arg, url, 0)
}

// parseDialURLs parses URLs to connect to, separated by commas. Errors name the
// argument arg.
func parseDialURLs(arg, urls string) ([]address, error) {
	var all []address
	for url := range strings.SplitSeq(urls, ",") {
		a, err := parseURL(arg, url, 1)
		if err != nil {
			return nil, err
		}
		if slices.Contains(all, a) {
			return nil, fmt.Errorf("%w: %s %q: %s is named twice", errInvalidURL, arg, urls, a)
		}
		all = append(all, a)
	}
	return all, nil
}

func parseURL(arg, url string, lowestPort uint64) (address, error) {
	scheme, target, found := strings.Cut(url, "://")
	a := address{scheme: scheme, target: target}
	err := errors.New("want scheme://address")
	if found {
		err = a.check(lowestPort)
	}
	if err != nil {
		return address{}, fmt.Errorf("%w: %s %q: %w", errInvalidURL, arg, url, err)
	}
	return a, nil
}

// check checks an address, and brings its target into the form that package net
// expects.
func (a *address) check(lowestPort uint64) error {
	switch {
	case a.target == "":
		return errors.New("no address after the scheme")
	case strings.ContainsRune(a.target, 0):
		return errors.New("contains a zero byte")
	case a.isTCP():
		return a.checkHostPort(lowestPort)
	case a.scheme == "ipc":
		return a.checkPath()
	}
	return nil
}

// checkPath makes the path absolute. The file then stays the same when the
// process changes its directory, and "@name" is a file, as it is for nanomsg
// and nng but not for package net.
func (a *address) checkPath() (err error) {
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

func (a *address) checkHostPort(lowestPort uint64) error {
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

// checkDistinct returns an error if an address is used for surveys and lists.
func checkDistinct(surveys, pubsubs []address) error {
	for _, a := range pubsubs {
		if slices.Contains(surveys, a) && !a.hasPortZero() {
			return fmt.Errorf("%w: urlPubSub %q: the same address as urlServer", errInvalidURL, a)
		}
	}
	return nil
}
