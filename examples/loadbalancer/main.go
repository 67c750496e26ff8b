// Loadbalancer is a sample: a reverse proxy for the backends that
// gopherdiscovery reports as alive. With -demo it runs a demonstration: it
// starts backends, ends one, kills one and adds one under load, and counts the
// requests. From the root of the repository:
//
//	go run ./examples/loadbalancer -demo
//
// Otherwise it is the proxy, or with -backend one of the backends:
//
//	go run ./examples/loadbalancer -http 127.0.0.1:20009
//	go run ./examples/loadbalancer -backend -http 127.0.0.1:20010
//
// The proxy is in balancer.go, and its status page in status.go. The file
// backend.go shows how a backend comes and goes without losing a request.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/examples/internal/peer"
	"github.com/dahernan/gopherdiscovery/internal/cli"
)

const about = "Loadbalancer is a sample: a reverse proxy for the backends that are alive. With -demo it runs a demonstration."

// These are the addresses of the proxy and of a backend without -http.
const (
	proxyAddress   = "127.0.0.1:20009"
	backendAddress = "127.0.0.1:20010"
)

func main() { cli.Main("loadbalancer", run) }

func run(ctx context.Context, args []string) error {
	flags := cli.NewFlags("loadbalancer", about)
	demo := flags.Bool("demo", false, "run the demonstration, which takes no other flags")
	urlServer, urlPubSub := flags.Server(), flags.PubSub()
	address := flags.String("http", "", "`address` to serve HTTP on (default "+proxyAddress+", with -backend "+backendAddress+")")
	statusAddress := flags.String("status", "", "`address` to serve the proxy's status page on (default none)")
	asBackend := flags.Bool("backend", false, "run as a backend instead of the proxy")
	name := peer.NameFlag(flags)
	work := flags.Duration("work", 0, "how long a backend works on a request")
	grace := flags.Duration("grace", 500*time.Millisecond, "how long a backend accepts requests after it has left the list")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case *demo && flags.NFlag() > 1:
		return cli.Usagef("-demo takes no other flags")
	case *demo:
		return demonstrate(ctx)
	case *work < 0:
		return cli.Usagef("-work %v is below 0", *work)
	case *grace < 0:
		return cli.Usagef("-grace %v is below 0", *grace)
	case *asBackend:
		if err := without(flags, "with -backend", "pubsub", "status"); err != nil {
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
		status, err := listenStatus(ctx, *statusAddress)
		if err != nil {
			return err
		}
		if status != nil {
			defer status.Close()
		}
		// It ends after the last request, which may need another backend.
		subscriber, err := dialer.NewSubscriber(context.WithoutCancel(ctx), *urlPubSub)
		if err != nil {
			return err
		}
		defer subscriber.Close()
		fmt.Println(peer.URL(*address, listener.Addr()))
		if status != nil {
			fmt.Println("status:", peer.URL(*statusAddress, status.Addr()))
		}
		return proxy(ctx, subscriber, listener, status, newBalancer(flags.Logger()))
	}
	b := &service{work: *work, grace: *grace, logger: flags.Logger()}
	if b.name, err = peer.Name(*name, *address, listener.Addr()); err != nil {
		return err
	}
	return b.serve(peer.Context(ctx), dialer, *urlServer, listener)
}

// listenStatus listens on the address of -status, and returns nil if there is
// none.
func listenStatus(ctx context.Context, address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("-status %s: %w", address, err)
	}
	return listener, nil
}

// without returns an error if any of the given flags is set.
func without(flags *cli.Flags, role string, names ...string) (err error) {
	flags.Visit(func(f *flag.Flag) {
		if slices.Contains(names, f.Name) {
			err = cli.Usagef("-%s has no meaning %s", f.Name, role)
		}
	})
	return err
}

// proxy balances the load over the backends in the list until ctx ends. It
// serves no status page if status is nil.
func proxy(ctx context.Context, subscriber *gopherdiscovery.Subscriber, listener, status net.Listener, lb *balancer) error {
	go lb.follow(subscriber.Changes())
	if status == nil {
		return cli.Serve(ctx, listener, lb, lb.logger)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		defer cancel()
		ended <- cli.Serve(ctx, status, lb.statusHandler(), lb.logger)
	}()
	err := cli.Serve(ctx, listener, lb, lb.logger)
	cancel()
	return errors.Join(err, <-ended)
}
