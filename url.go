package gopherdiscovery

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// address is a URL taken apart: tcp://host:port, tls+tcp://host:port, ipc://path, inproc://name, or what another scheme
// makes of it.
type address struct {
	scheme string
	target string
}

func (a address) String() string { return a.scheme + "://" + a.target }

// hasPortZero tells whether the address leaves the choice of its port to the system.
func (a address) hasPortZero() bool {
	return a.isTCP() && strings.HasSuffix(a.target, ":0")
}

func (a address) isTLS() bool { return a.scheme == "tls+tcp" }

func (a address) isTCP() bool { return a.scheme == "tcp" || a.isTLS() }

func (a address) isOurs() bool { return a.isTCP() || a.scheme == "ipc" }

// host returns the host of an address of TCP, and its IP address, which is not valid if the host is a name or empty.
func (a address) host() (host string, ip netip.Addr) {
	host, _, _ = net.SplitHostPort(a.target)
	ip, _ = netip.ParseAddr(host)
	return host, ip
}

// serverName is the name that a certificate of the server at the address must have. An IPv6 zone says by which way it is
// reached, and is no part of the name.
func (a address) serverName() string {
	host, ip := a.host()
	if ip.IsValid() {
		return ip.WithZone("").String()
	}
	return host
}

// bound returns the address as it is after binding it. Linux leaves out the zone of an IPv6 address when it tells where a
// socket of Multipath TCP listens, which Go makes.
func (a address) bound(to net.Addr) address {
	bound := address{a.scheme, to.String()}
	if wanted, ip := a.host(); ip.Zone() != "" {
		_, port, _ := net.SplitHostPort(bound.target)
		bound.target = net.JoinHostPort(wanted, port)
	}
	return bound
}

// parseListenURL checks the argument arg, a URL to listen on.
func parseListenURL(arg, url string) (address, error) {
	return parseURL(arg, url, 0)
}

// parseDialURLs checks the argument arg, URLs to connect to, separated by commas.
func parseDialURLs(arg, urls string) ([]address, error) {
	var all []address
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

func parseURL(arg, url string, lowestPort uint64) (address, error) {
	scheme, target, found := strings.Cut(url, "://")
	a := address{scheme: scheme, target: target}
	err := errors.New("want scheme://address")
	if found {
		err = a.check(lowestPort)
	}
	if err != nil {
		return address{}, fmt.Errorf("%w: %s %q: %w", ErrInvalidURL, arg, url, err)
	}
	return a, nil
}

// check also brings the target into the form that net wants.
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

// checkPath makes the path absolute: the file stays the same when the process changes its directory, and "@name", which is
// no file for package net, is one here as it is for nanomsg and nng.
func (a *address) checkPath() (err error) {
	if a.target, err = filepath.Abs(a.target); err != nil {
		return err
	}
	if len(a.target) > maxIPCPath {
		return fmt.Errorf("the path %s is %d bytes long, the system allows %d", a.target, len(a.target), maxIPCPath)
	}
	return nil
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

// checkDistinct refuses one address for surveys and lists.
func checkDistinct(surveys, pubsubs []address) error {
	for _, a := range pubsubs {
		if slices.Contains(surveys, a) && !a.hasPortZero() {
			return fmt.Errorf("%w: urlPubSub %q: the same address as urlServer", ErrInvalidURL, a)
		}
	}
	return nil
}
