// Package grpcresolver lets clients of grpc-go find their servers in a list of
// gopherdiscovery.
//
//	builder := grpcresolver.NewBuilder(nil, "tcp://127.0.0.1:50007")
//	conn, err := grpc.NewClient("discovery:///greeter.example",
//		grpc.WithResolvers(builder), grpc.WithNoProxy(), …)
//
// The part behind discovery:/// is the authority of the calls, and with TLS the
// name for which each server must have a certificate. It takes no part in the
// search: one discovery server has one list. There are as many builders as
// there are lists, each for the clients of its own.
//
// A list that has servers of several kinds is searched with match:
//
//	discovery:///greeter.example?match=greeter+*
//
// chooses the names that begin with greeter+. In the pattern * stands for any
// characters, and all else for itself. Without it all names are servers.
//
// # What calls see
//
// Before the first list calls wait, until their context ends. While no
// discovery server can be reached the last list stands. When nobody is left
// calls fail with Unavailable, except those that are made with
// grpc.WaitForReady, which wait.
//
// A server leaves without a failed call if it first leaves the list, then waits
// for a moment, and then calls GracefulStop.
//
// A client that makes no call for 30 minutes goes idle, and its subscription
// ends. With the next call it subscribes anew, which needs a discovery server.
// grpc.WithIdleTimeout(0) keeps the subscription.
//
// # Proxies
//
// grpc-go sends the connections of a client to the proxy that the environment
// names in HTTPS_PROXY, unless NO_PROXY has the authority of the target or the
// address of the server. Servers in a list are mostly where no proxy leads to:
// grpc.WithNoProxy makes a client dial them itself, as the package balance
// does. A resolver cannot decide that.
//
// # Names
//
// A server is announced as host:port, or as a URL with a host and a port, such
// as grpc://host:port. The port of http is 80, and of https 443. A kind may
// stand in front, as in greeter+host:port. Other names are left out, with one
// line in the log, and without one those that match does not choose.
package grpcresolver

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/names"
	"google.golang.org/grpc/resolver"
)

// Scheme is that of the targets, discovery:///authority.
const Scheme = "discovery"

// NewBuilder returns a builder of resolvers that subscribe on urlPubSub, which
// may name several servers, separated by commas. It is for grpc.WithResolvers,
// and for resolver.Register in a program with one list only.
//
// The dialer carries the TLS configuration and the logger; nil is the zero
// Dialer. Each client has a subscription of its own, which begins with its
// first call or Connect, and ends when it is closed or idle. A bad URL or
// target shows with the first call, which fails with an error that names it.
func NewBuilder(dialer *gopherdiscovery.Dialer, urlPubSub string) resolver.Builder {
	if dialer == nil {
		dialer = new(gopherdiscovery.Dialer)
	}
	return &builder{dialer, urlPubSub}
}

type builder struct {
	dialer    *gopherdiscovery.Dialer
	urlPubSub string
}

func (*builder) Scheme() string { return Scheme }

// Build subscribes.
func (b *builder) Build(target resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	if target.URL.Host != "" || target.Endpoint() == "" {
		return nil, fmt.Errorf("grpcresolver: the target %q is not of the form discovery:///authority", target.URL.String())
	}
	match, err := names.FromQuery(target.URL.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("grpcresolver: match in the target %q: %w", target.URL.String(), err)
	}
	sub, err := b.dialer.NewSubscriber(context.Background(), b.urlPubSub)
	if err != nil {
		return nil, fmt.Errorf("grpcresolver: %w", err)
	}
	r := &subscription{sub: sub, cc: cc, match: match, logger: b.dialer.Logger, done: make(chan struct{})}
	if r.logger == nil {
		r.logger = slog.Default()
	}
	go r.run()
	return r, nil
}

// subscription is a resolver.
type subscription struct {
	sub    *gopherdiscovery.Subscriber
	cc     resolver.ClientConn
	match  names.Pattern
	logger *slog.Logger
	done   chan struct{}
}

// run reports each list. The error of UpdateState asks for another try later,
// because of an empty list or a bad service configuration. Here another list
// comes by itself.
func (r *subscription) run() {
	defer close(r.done)
	var before []string
	for list := range r.sub.Changes() {
		list = r.match.Filter(list)
		_ = r.cc.UpdateState(r.state(before, list))
		before = list
	}
}

// state returns the addresses in a list, and logs new names that have none.
func (r *subscription) state(before, list []string) resolver.State {
	joined, _ := gopherdiscovery.Diff(before, list)
	state := resolver.State{Addresses: []resolver.Address{}}
	seen := make(map[string]bool)
	for _, name := range list {
		address, ok := parseName(name)
		if !ok {
			if slices.Contains(joined, name) {
				r.logger.Warn("grpcresolver: this name has no host and port", "name", name)
			}
			continue
		}
		if !seen[address] {
			seen[address] = true
			state.Addresses = append(state.Addresses, resolver.Address{Addr: address})
		}
	}
	return state
}

// ResolveNow does nothing: a subscription has what there is to know.
func (*subscription) ResolveNow(resolver.ResolveNowOptions) {}

// Close ends the subscription, and waits for that.
func (r *subscription) Close() {
	_ = r.sub.Close()
	<-r.done
}
