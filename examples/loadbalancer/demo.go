package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

const (
	demoTime = 60 * time.Second // more than it ever needs
	pollTime = 500 * time.Millisecond
)

// demo is a server and a proxy in this process, and backends in others.
type demo struct {
	server   *gopherdiscovery.DiscoveryServer
	balancer *balancer
	load     *load
	status   string // the URL of the page
	backends processes
	names    []string // in the order of their start; the first is a
}

// demonstrate runs the demonstration. It returns when all the processes that it
// has started are gone.
func demonstrate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	// The proxy and the server end after the backends. The subscriber ends
	// between them: after the proxy's requests, and before it would log that it
	// has lost its server.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	// Without it, each lost request would be logged, and so would a backend
	// that is interrupted while it connects.
	quiet := slog.New(slog.DiscardHandler)
	server, err := gopherdiscovery.Server("tcp://127.0.0.1:0", "tcp://127.0.0.1:0", gopherdiscovery.Options{
		PollTime: pollTime,
		Logger:   quiet,
	})
	if err != nil {
		return err
	}
	defer server.Close()
	listener, err := listen(ctx, "http", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	status, err := listen(ctx, "http", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer status.Close()
	_, urlPubSub := server.URLs()
	subscriber, err := gopherdiscovery.NewSubscriber(context.WithoutCancel(ctx), urlPubSub)
	if err != nil {
		return err
	}
	defer subscriber.Close()
	d := &demo{
		server:   server,
		balancer: newBalancer(quiet, answerTime),
		load:     newLoad("http://" + listener.Addr().String()),
		status:   "http://" + status.Addr().String(),
	}
	proxyEnded := make(chan error, 1)
	go func() { proxyEnded <- proxy(serving, subscriber, listener, status, d.balancer) }()

	err = errors.Join(d.play(ctx), d.backends.leave())
	stop()
	err = errors.Join(err, <-proxyEnded)
	switch {
	case err == nil:
		fmt.Println("\nThe backends have been ended: no process is left.")
	case ctx.Err() == context.DeadlineExceeded:
		err = fmt.Errorf("gave up after %v: %w", demoTime, err)
	case ctx.Err() != nil:
		err = errors.New("interrupted")
	}
	return err
}

func (d *demo) play(ctx context.Context) error {
	fmt.Printf("A discovery server, a proxy, and three backends, each backend a process of its own.\n")
	fmt.Printf("The proxy's status page is at %s\n", d.status)
	for range 3 {
		if _, err := d.start(ctx); err != nil {
			return err
		}
	}
	for _, name := range d.names {
		if err := d.load.awaitAnswer(ctx, name); err != nil {
			return err
		}
	}

	fmt.Printf("\nLoad: %d clients send one request after another. One in ten is a POST.\n", clients)
	if err := d.underLoad(ctx, func() error { return nil }); err != nil {
		return err
	}

	fmt.Println("\na leaves: first the list, then it finishes what it has.")
	err := d.underLoad(ctx, func() error {
		start := time.Now()
		defer func() { fmt.Printf("  Its process has ended after %s.\n", ms(time.Since(start))) }()
		return d.backends.take(d.backends[0]).leave()
	})
	if err != nil {
		return err
	}

	fmt.Println("\nb is killed with SIGKILL. Its requests go to another backend, but not a POST, which is not safe to repeat.")
	err = d.underLoad(ctx, func() error { return d.backends.take(d.backends[0]).kill() })
	if err != nil {
		return err
	}

	fmt.Println("\nd joins.")
	return d.underLoad(ctx, func() error {
		p, err := d.start(ctx)
		if err != nil {
			return err
		}
		start := time.Now()
		err = d.load.awaitAnswer(ctx, p.url)
		fmt.Printf("  Its first answer came %s after its start.\n", ms(time.Since(start)))
		return err
	})
}

// start starts one more backend.
func (d *demo) start(ctx context.Context) (*process, error) {
	urlServer, _ := d.server.URLs()
	p, err := d.backends.start(ctx, "-backend", "-server", urlServer, "-http", "127.0.0.1:0", "-work", "5ms")
	if err != nil {
		return nil, err
	}
	d.names = append(d.names, p.url)
	fmt.Printf("  %c  %s\n", 'a'+len(d.names)-1, p.url)
	return p, nil
}

// underLoad runs an event in the middle of a load, and prints what became of
// the requests.
func (d *demo) underLoad(ctx context.Context, event func() error) error {
	before := d.balancer.retried.Load()
	result, err := d.load.during(ctx, event)
	if err != nil {
		return err
	}
	fmt.Printf("  %d requests: %d failed", result.requests, result.failedGET+result.failedPOST)
	if result.failedPOST > 0 {
		fmt.Printf(" (%d of them POST)", result.failedPOST)
	}
	fmt.Printf(", %d retried; answered by", d.balancer.retried.Load()-before)
	for i, name := range d.names {
		if n := result.answers[name]; n > 0 {
			fmt.Printf(" %c %d", 'a'+i, n)
		}
	}
	fmt.Println(".")
	return nil
}

func ms(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
