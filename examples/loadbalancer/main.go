// Loadbalancer is a reverse proxy over the backends that are there now, as gopherdiscovery tells. Without flags it demonstrates
// itself: it starts backends, ends one, kills one and adds one under load, and counts. From the root of the repository:
//
//	go run ./examples/loadbalancer
//
// With flags it is the proxy, or with -backend one of the backends:
//
//	go run ./examples/loadbalancer -pubsub tcp://127.0.0.1:50007 -http 127.0.0.1:20009
//	go run ./examples/loadbalancer -backend -server tcp://127.0.0.1:40007 -http 127.0.0.1:20010
//
// The proxy is balancer.go, its page at /status is status.go; how a backend comes and goes without a lost request is backend.go.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/examples/internal/peer"
	"github.com/dahernan/gopherdiscovery/internal/cli"
)

const about = "Loadbalancer is a reverse proxy over the backends that are there now. Without flags it demonstrates itself."

// Where the two serve HTTP without -http.
const (
	proxyAddress   = "127.0.0.1:20009"
	backendAddress = "127.0.0.1:20010"
)

func main() { cli.Main("loadbalancer", run) }

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return demonstrate(ctx)
	}
	flags := cli.NewFlags("loadbalancer", about)
	urlServer, urlPubSub := flags.Server(), flags.PubSub()
	address := flags.String("http", "", "`address` to serve HTTP on (default "+proxyAddress+", with -backend "+backendAddress+")")
	asBackend := flags.Bool("backend", false, "be a backend, not the proxy")
	name := peer.NameFlag(flags)
	work := flags.Duration("work", 0, "how long a backend works on a request")
	grace := flags.Duration("grace", 500*time.Millisecond, "how long a backend takes requests after it has left the list")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case *work < 0:
		return cli.Usagef("-work %v is below 0", *work)
	case *grace < 0:
		return cli.Usagef("-grace %v is below 0", *grace)
	case *asBackend:
		if err := without(flags, "with -backend", "pubsub"); err != nil {
			return err
		}
		*address = cmp.Or(*address, backendAddress)
	default:
		if err := without(flags, "without -backend", "server", "name", "work", "grace"); err != nil {
			return err
		}
		*address = cmp.Or(*address, proxyAddress)
	}
	dialer, err := flags.Dialer()
	if err != nil {
		return err
	}
	flags.Daemon()
	listener, err := cli.Listen(ctx, *address)
	if err != nil {
		return err
	}
	defer listener.Close()
	if !*asBackend {
		subscriber, err := dialer.NewSubscriber(ctx, *urlPubSub)
		if err != nil {
			return err
		}
		defer subscriber.Close()
		fmt.Println(peer.URL(*address, listener.Addr()))
		return proxy(ctx, subscriber, listener, newBalancer(flags.Logger()))
	}
	b := &service{work: *work, grace: *grace, logger: flags.Logger()}
	if b.name, err = peer.Name(*name, *address, listener.Addr()); err != nil {
		return err
	}
	return b.serve(peer.Context(ctx), dialer, *urlServer, listener)
}

// without wants that none of these flags are given.
func without(flags *cli.Flags, role string, names ...string) (err error) {
	flags.Visit(func(f *flag.Flag) {
		if slices.Contains(names, f.Name) {
			err = cli.Usagef("-%s has no meaning %s", f.Name, role)
		}
	})
	return err
}

// proxy balances the load over the backends in the list, until ctx ends.
func proxy(ctx context.Context, subscriber *gopherdiscovery.Subscriber, listener net.Listener, lb *balancer) error {
	go func() {
		for list := range subscriber.Changes() {
			lb.setBackends(list)
		}
	}()
	return cli.Serve(ctx, listener, lb, lb.logger)
}
