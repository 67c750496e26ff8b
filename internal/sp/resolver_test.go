package sp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fakeLookup scripts the lookup of one family.
type fakeLookup struct {
	takes time.Duration // a negative one is longer than anybody waits
	ips   string        // separated by spaces
	err   error         // without ips
}

// asking returns a lookup with the given outcomes. It checks the deadlines.
func asking(t *testing.T, script map[string]fakeLookup) lookup {
	return func(ctx context.Context, network, host string) (ips []netip.Addr, err error) {
		f := script[network]
		if due, ok := ctx.Deadline(); !ok || time.Until(due) != lookupTime || host != "a.test" {
			t.Errorf("lookup of %s in %s with %v, want a.test with %v", host, network, time.Until(due), lookupTime)
		}
		after := time.After(f.takes)
		if f.takes < 0 {
			after = nil
		}
		select {
		case <-after:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		for ip := range strings.FieldsSeq(f.ips) {
			ips = append(ips, netip.MustParseAddr(ip))
		}
		return ips, f.err
	}
}

// resolving is a resolver in a bubble.
type resolving struct {
	*testing.T
	resolver
	endpoint *endpoint
}

func withResolver(t *testing.T, test func(r *resolving)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &resolving{T: t, endpoint: newEndpoint(Protocol{}, quietSettings)}
		test(r)
		r.endpoint.shut()
		r.endpoint.end()
	})
}

// expect resolves a name, and checks the addresses or the error, and the time.
func (r *resolving) expect(v6, v4 fakeLookup, want string, after time.Duration) {
	r.Helper()
	start := time.Now()
	script := map[string]fakeLookup{"ip6": v6, "ip4": v4}
	ips, err := r.resolve(r.endpoint.ctx, r.endpoint, "a.test", asking(r.T, script))
	got := strings.Trim(fmt.Sprint(ips), "[]")
	if err != nil {
		got = err.Error()
	}
	if took := time.Since(start); got != want || took != after {
		r.Errorf("got %q after %v, want %q after %v", got, took, want, after)
	}
}

func TestResolver(t *testing.T) {
	const never = -1
	absent := &net.DNSError{Err: "absent", IsNotFound: true}
	unsuitable := &net.AddrError{Err: "unsuitable"}
	failed := errors.New("failed")
	timeout := context.DeadlineExceeded.Error()
	for _, test := range []struct {
		name   string
		v6, v4 fakeLookup
		want   string
		after  time.Duration
	}{
		{"both", fakeLookup{10 * ms, "::1 ::2 ::3", nil}, fakeLookup{20 * ms, "127.0.0.1", nil}, "::1 127.0.0.1 ::2 ::3", 20 * ms},
		{"an address twice", fakeLookup{0, "::ffff:1.2.3.4", nil}, fakeLookup{0, "1.2.3.4 1.2.3.4", nil}, "1.2.3.4", 0},
		{"only IPv4", fakeLookup{20 * ms, "", absent}, fakeLookup{10 * ms, "127.0.0.1", nil}, "127.0.0.1", 20 * ms},
		{"only IPv6", fakeLookup{10 * ms, "::1", nil}, fakeLookup{20 * ms, "", absent}, "::1", 20 * ms},
		{"IPv6 is not answered", fakeLookup{never, "", nil}, fakeLookup{10 * ms, "127.0.0.1", nil}, "127.0.0.1", 60 * ms},
		{"IPv4 is not answered", fakeLookup{10 * ms, "::1", nil}, fakeLookup{never, "", nil}, "::1", 60 * ms},
		{"IPv6 is late", fakeLookup{70 * ms, "::1", nil}, fakeLookup{10 * ms, "127.0.0.1", nil}, "127.0.0.1", 60 * ms},
		{"IPv6 is just in time", fakeLookup{59 * ms, "::1", nil}, fakeLookup{10 * ms, "127.0.0.1", nil}, "::1 127.0.0.1", 59 * ms},
		{"IPv4 comes late, and alone", fakeLookup{10 * ms, "", absent}, fakeLookup{29 * time.Second, "127.0.0.1", nil}, "127.0.0.1", 29 * time.Second},
		{"neither exists", fakeLookup{10 * ms, "", absent}, fakeLookup{20 * ms, "", absent}, absent.Error(), 20 * ms},
		{"IPv6 fails", fakeLookup{0, "", failed}, fakeLookup{0, "", absent}, "failed", 0},
		{"IPv4 fails", fakeLookup{0, "", unsuitable}, fakeLookup{0, "", failed}, "failed", 0},
		{"neither is answered", fakeLookup{never, "", nil}, fakeLookup{never, "", nil}, timeout, lookupTime},
	} {
		t.Run(test.name, func(t *testing.T) {
			withResolver(t, func(r *resolving) { r.expect(test.v6, test.v4, test.want, test.after) })
		})
	}
}

// An answer that is late counts in the next attempt, and is not asked for again
// meanwhile. It is forgotten when a connection stands.
func TestResolverUsesALateAnswer(t *testing.T) {
	withResolver(t, func(r *resolving) {
		quick := fakeLookup{0, "127.0.0.1", nil}
		r.expect(fakeLookup{120 * ms, "::1", nil}, quick, "127.0.0.1", 50*ms)
		r.expect(fakeLookup{0, "::2", nil}, quick, "127.0.0.1", 50*ms)
		r.expect(fakeLookup{0, "::3", nil}, quick, "::1 127.0.0.1", 20*ms)
		r.expect(fakeLookup{120 * ms, "::4", nil}, quick, "127.0.0.1", 50*ms)
		r.forget()
		r.expect(fakeLookup{0, "::5", nil}, quick, "::5 127.0.0.1", 0)
	})
}

// The end of an endpoint does not wait for a lookup.
func TestEndDuringALookup(t *testing.T) {
	withResolver(t, func(r *resolving) {
		time.AfterFunc(time.Second, r.endpoint.shut)
		hangs := fakeLookup{takes: -1}
		r.expect(hangs, hangs, context.Canceled.Error(), time.Second)
		start := time.Now()
		r.endpoint.end()
		if after := time.Since(start); after != 0 {
			r.Errorf("the end took %v", after)
		}
	})
}
