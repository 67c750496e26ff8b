package sp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// families are the networks that a resolver asks for, in the order of
// preference (RFC 8305, section 4).
var families = [...]string{"ip6", "ip4"}

// resolver looks up the addresses of a name. It asks for each family on its
// own, so that an answer that does not come does not hold back the other one
// (RFC 8305, section 3). It must not be used concurrently.
type resolver struct {
	asked [len(families)]chan found // nil where no answer is awaited
}

// found is the outcome of a lookup.
type found struct {
	ips []netip.Addr
	err error
}

// lookup is [net.Resolver.LookupNetIP].
type lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

// resolve returns the addresses of a host, at least one, with the families in
// turn. When one family has an address it waits for the other one for
// resolutionDelay. A later answer is part of the next result.
func (r *resolver) resolve(ctx context.Context, e *endpoint, host string, ask lookup) ([]netip.Addr, error) {
	for i, network := range families {
		if r.asked[i] == nil && !r.ask(i, e, func() ([]netip.Addr, error) {
			ctx, cancel := context.WithTimeout(ctx, lookupTime)
			defer cancel()
			return ask(ctx, network, host)
		}) {
			return nil, net.ErrClosed
		}
	}
	var got [len(families)]found
	take := func(i int, f found) { got[i], r.asked[i] = f, nil }
	var delay <-chan time.Time
	for r.asked != [len(families)]chan found{} {
		select {
		case f := <-r.asked[0]:
			take(0, f)
		case f := <-r.asked[1]:
			take(1, f)
		case <-delay:
			return alternate(got[0].ips, got[1].ips), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if delay == nil && len(got[0].ips)+len(got[1].ips) > 0 {
			delay = time.After(resolutionDelay)
		}
	}
	if all := alternate(got[0].ips, got[1].ips); len(all) > 0 {
		return all, nil
	}
	if isAbsent(got[1].err) {
		return nil, got[0].err
	}
	return nil, got[1].err
}

// ask starts a lookup. It returns false if the endpoint is closed.
func (r *resolver) ask(i int, e *endpoint, lookup func() ([]netip.Addr, error)) bool {
	if !e.Enter(1) {
		return false
	}
	answer := make(chan found, 1)
	r.asked[i] = answer
	go func() {
		defer e.Exit()
		ips, err := lookup()
		answer <- found{ips, err}
	}()
	return true
}

// forget drops answers that are awaited. They are old when they are needed.
func (r *resolver) forget() { r.asked = [len(families)]chan found{} }

// alternate returns the elements of a and b in turn, without duplicates.
func alternate(a, b []netip.Addr) (all []netip.Addr) {
	known := make(map[netip.Addr]bool)
	for i := range max(len(a), len(b)) {
		for _, ips := range [][]netip.Addr{a, b} {
			if i >= len(ips) {
				continue
			}
			if ip := ips[i].Unmap(); !known[ip] {
				known[ip] = true
				all = append(all, ip)
			}
		}
	}
	return all
}

// isAbsent reports whether an error says that a name has no address of the
// family, and not that the lookup has failed.
func isAbsent(err error) bool {
	var dns *net.DNSError
	var none *net.AddrError
	return errors.As(err, &dns) && dns.IsNotFound || errors.As(err, &none)
}
