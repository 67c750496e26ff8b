// Groupcache is a sample: github.com/golang/groupcache in processes that find
// each other with gopherdiscovery. With -demo it runs a demonstration: it
// starts three caches, kills one and adds one, and prints which cache loads
// what. From the root of the repository:
//
//	go run ./examples/groupcache -demo
//
// Otherwise it is one cache among its peers. The flags -server and -pubsub say
// where their server is:
//
//	go run ./examples/groupcache -server tcp://127.0.0.1:40007 \
//	  -pubsub tcp://127.0.0.1:50007 -http 127.0.0.1:20008
//
// The file cache.go shows how a program uses the library with groupcache. The
// file demo.go starts the processes and asks them for keys.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

func main() { runProgram("groupcache", run) }

// run is a cache among its peers until ctx ends, or the demonstration.
func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("groupcache", flag.ExitOnError)
	demo := flags.Bool("demo", false, "run the demonstration, which takes no other flags")
	urlServer := flags.String("server", "tcp://127.0.0.1:40007", "`URL` on which the server surveys")
	urlPubSub := flags.String("pubsub", "tcp://127.0.0.1:50007", "`URL` on which the server publishes")
	address := flags.String("http", "127.0.0.1:20008", "`address` to serve HTTP on")
	name := flags.String("name", "", "`URL` by which the others reach this one (default http:// and the address of -http)")
	var level slog.Level
	flags.TextVar(&level, "log-level", slog.LevelInfo, "log from this `level` on: debug, info, warn or error")
	timeout := flags.Duration("timeout", 500*time.Millisecond, "how long to wait for the owner of a key, more than a load takes")
	_ = flags.Parse(args) // which exits
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case *demo && flags.NFlag() > 1:
		return errors.New("-demo takes no other flags")
	case *demo:
		return demonstrate(ctx)
	case *timeout <= 0:
		return fmt.Errorf("-timeout %v is not above 0", *timeout)
	}
	listener, err := listen(ctx, "http", *address)
	if err != nil {
		return err
	}
	defer listener.Close()
	self, err := nameOf(*name, listener.Addr())
	if err != nil {
		return err
	}

	c := newCache(self, *timeout)
	dialer := gopherdiscovery.Dialer{Logger: newLogger(level)}
	client, err := dialer.ClientWithSub(ctx, *urlServer, *urlPubSub, self)
	if err != nil {
		return err
	}
	defer client.Close()
	lists, err := client.Peers()
	if err != nil {
		return err
	}
	fmt.Println(self)
	go follow(c, lists) // ends with ctx
	return serve(ctx, listener, c.handler(), dialer.Logger)
}

// follow passes each list to the cache and prints the peers, until lists is
// closed. If no one reads the output, the full pipe does not hold up the cache:
// a newer line replaces one that is still waiting.
func follow(c *cache, lists <-chan []string) {
	lines := make(chan string, 1)
	defer close(lines)
	go func() {
		for line := range lines {
			fmt.Println(line)
		}
	}()
	for list := range lists {
		peers, changed := c.setPeers(list)
		if !changed {
			continue
		}
		select {
		case <-lines:
		default:
		}
		lines <- "peers: " + strings.Join(peers, " ")
	}
}
