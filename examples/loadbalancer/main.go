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
	"log/slog"
	"net"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// These are the addresses of the proxy and of a backend without -http.
const (
	proxyAddress   = "127.0.0.1:20009"
	backendAddress = "127.0.0.1:20010"
)

func main() { runProgram("loadbalancer", run) }

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("loadbalancer", flag.ExitOnError)
	demo := flags.Bool("demo", false, "run the demonstration, which takes no other flags")
	urlServer := flags.String("server", "tcp://127.0.0.1:40007", "`URL` on which the server surveys backends")
	urlPubSub := flags.String("pubsub", "tcp://127.0.0.1:50007", "`URL` on which the server publishes them to the proxy")
	address := flags.String("http", "", "`address` to serve HTTP on (default "+proxyAddress+", with -backend "+backendAddress+")")
	statusAddress := flags.String("status", "", "`address` to serve the proxy's status page on (default none)")
	asBackend := flags.Bool("backend", false, "run as a backend instead of the proxy")
	name := flags.String("name", "", "`URL` by which the proxy reaches a backend (default http:// and the address of -http)")
	var level slog.Level
	flags.TextVar(&level, "log-level", slog.LevelInfo, "log from this `level` on: debug, info, warn or error")
	work := flags.Duration("work", 0, "how long a backend works on a request")
	grace := flags.Duration("grace", 500*time.Millisecond, "how long a backend accepts requests after it has left the list")
	_ = flags.Parse(args) // which exits
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case *demo && flags.NFlag() > 1:
		return errors.New("-demo takes no other flags")
	case *demo:
		return demonstrate(ctx)
	case *work < 0:
		return fmt.Errorf("-work %v is below 0", *work)
	case *grace < 0:
		return fmt.Errorf("-grace %v is below 0", *grace)
	case *asBackend:
		*address = cmp.Or(*address, backendAddress)
	default:
		*address = cmp.Or(*address, proxyAddress)
	}
	dialer := &gopherdiscovery.Dialer{Logger: newLogger(level)}
	listener, err := listen(ctx, "http", *address)
	if err != nil {
		return err
	}
	defer listener.Close()
	if !*asBackend {
		var status net.Listener
		if *statusAddress != "" {
			if status, err = listen(ctx, "status", *statusAddress); err != nil {
				return err
			}
			defer status.Close()
		}
		// It ends after the last request, which may need another backend.
		subscriber, err := dialer.NewSubscriber(context.WithoutCancel(ctx), *urlPubSub)
		if err != nil {
			return err
		}
		defer subscriber.Close()
		fmt.Println(urlOf(listener.Addr()))
		if status != nil {
			fmt.Println("status:", urlOf(status.Addr()))
		}
		return proxy(ctx, subscriber, listener, status, newBalancer(dialer.Logger, answerTime))
	}
	b := &service{work: *work, grace: *grace, logger: dialer.Logger}
	if b.name, err = nameOf(*name, listener.Addr()); err != nil {
		return err
	}
	return b.serve(ctx, dialer, *urlServer, listener)
}

// proxy balances the load over the backends in the list until ctx ends. It
// serves no status page if status is nil.
func proxy(ctx context.Context, subscriber *gopherdiscovery.Subscriber, listener, status net.Listener, lb *balancer) error {
	go lb.follow(subscriber.Changes())
	if status == nil {
		return serve(ctx, listener, lb, lb.logger)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		defer cancel()
		ended <- serve(ctx, status, lb.statusHandler(), lb.logger)
	}()
	err := serve(ctx, listener, lb, lb.logger)
	cancel()
	return errors.Join(err, <-ended)
}
