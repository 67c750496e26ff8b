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
	"fmt"
	"strings"
	"time"

	"github.com/dahernan/gopherdiscovery/examples/internal/peer"
	"github.com/dahernan/gopherdiscovery/internal/cli"
)

const about = "Groupcache is a sample: a cache whose peers find each other. With -demo it runs a demonstration."

func main() { cli.Main("groupcache", run) }

// run is a cache among its peers until ctx ends, or the demonstration.
func run(ctx context.Context, args []string) error {
	flags := cli.NewFlags("groupcache", about)
	demo := flags.Bool("demo", false, "run the demonstration, which takes no other flags")
	urlServer, urlPubSub := flags.Server(), flags.PubSub()
	address := flags.HTTP("127.0.0.1:20008")
	name := peer.NameFlag(flags)
	timeout := flags.Duration("timeout", 500*time.Millisecond, "how long to wait for the owner of a key, more than a load takes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case *demo && flags.NFlag() > 1:
		return cli.Usagef("-demo takes no other flags")
	case *demo:
		return demonstrate(ctx)
	case *timeout <= 0:
		return cli.Usagef("-timeout %v is not above 0", *timeout)
	}
	ctx = peer.Context(ctx)
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
	self, err := peer.Name(*name, *address, listener.Addr())
	if err != nil {
		return err
	}

	c := newCache(self, *timeout)
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
	return cli.Serve(ctx, listener, c.handler(), flags.Logger())
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
