package gopherdiscovery_test

import (
	"context"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

func TestCloseManyTimesAndConcurrently(t *testing.T) {
	server := startServer(t, quickOptions)
	client, peers := join(t, server, "client1")
	sub := subscribe(t, server)
	await(t, peers, "client1")
	var all sync.WaitGroup
	for _, e := range []ender{client, sub, server} {
		for range 10 {
			all.Go(func() {
				if err := e.Close(); err != nil {
					t.Errorf("Close: got %v, want nil", err)
				}
			})
			all.Go(e.Wait)
		}
	}
	for range 10 {
		all.Go(client.Cancel)
		all.Go(server.Cancel)
	}
	all.Wait()
	awaitClosed(t, peers)
	awaitClosed(t, sub.Changes())
	client.Cancel()
	server.Cancel()
}

func TestChannelsAreClosedAfterWait(t *testing.T) {
	for range 50 {
		client, err := quiet.ClientWithSub(context.Background(), "inproc://nobody", "inproc://nowhere", "client1")
		if err != nil {
			t.Fatal(err)
		}
		client.Close()
		peers, _ := client.Peers()
		select {
		case <-peers:
		default:
			t.Fatal("the channel is open after Close")
		}
	}
}

// After Wait the addresses can be bound again, and a server started on them
// works.
func TestAddressesAreFreeAfterWait(t *testing.T) {
	server := startServerAt(t, reserve(t), reserve(t), quickOptions)
	survey, pubsub := server.URLs()
	client, peers := join(t, server, "client1")
	await(t, peers, "client1")
	for range 20 {
		server.Cancel()
		server.Wait()
		var err error
		if server, err = gopherdiscovery.Server(survey, pubsub, quickOptions); err != nil {
			t.Fatalf("the addresses were not free: %v", err)
		}
	}
	defer server.Close()
	client.Close()
	_, peers = join(t, server, "client2")
	await(t, peers, "client2")
}

func TestEndOfTheContextEndsAll(t *testing.T) {
	server := startServer(t, quickOptions)
	survey, pubsub := server.URLs()
	ctx, cancel := context.WithCancel(context.Background())
	client, err := quiet.Client(ctx, survey, "client1")
	if err != nil {
		t.Fatal(err)
	}
	withSub, err := quiet.ClientWithSub(ctx, survey, pubsub, "client2")
	if err != nil {
		t.Fatal(err)
	}
	sub, err := quiet.NewSubscriber(ctx, pubsub)
	if err != nil {
		t.Fatal(err)
	}
	await(t, sub.Changes(), "client1", "client2")
	cancel()
	for _, e := range []ender{client, withSub, sub} {
		e.Wait()
	}
	awaitClosed(t, sub.Changes())
}

func TestContextThatHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	sub, err := quiet.NewSubscriber(ctx, reserve(t))
	if err != nil {
		t.Fatal(err)
	}
	sub.Wait()
	client, err := quiet.ClientWithSub(ctx, reserve(t), reserve(t), "client1")
	if err != nil {
		t.Fatal(err)
	}
	client.Wait()
}

// Wait also returns at once while clients look for a server that is not there,
// or connect to one that never answers.
func TestCloseWhileConnecting(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	for name, url := range map[string]string{"nobody": reserve(t), "mute": "tcp://" + mute.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			logger, book := newLogger()
			d := &gopherdiscovery.Dialer{Logger: logger}
			start := time.Now()
			for range 20 {
				client, err := d.Client(context.Background(), url, "client1")
				if err != nil {
					t.Fatal(err)
				}
				if name == "mute" {
					c, err := mute.Accept()
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close()
				}
				client.Close()
			}
			if name == "mute" && book.String() != "" {
				t.Errorf("clean stops were logged:\n%s", book)
			}
			if took := time.Since(start); took > patience/3 {
				t.Errorf("20 times Close took %v", took)
			}
		})
	}
}

func TestServerClosesWithConnectionsInAnyState(t *testing.T) {
	for range 20 {
		server := startServer(t, quickOptions)
		survey, pubsub := server.URLs()
		for _, url := range []string{survey, pubsub} {
			for range 5 {
				c, err := net.Dial("tcp", strings.TrimPrefix(url, "tcp://"))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
			}
		}
		announce(t, server, "client1")
		server.Close()
	}
}

// TestChurn opens and closes servers, clients and subscribers concurrently and
// in random order, for the race detector and the leak check.
func TestChurn(t *testing.T) {
	a := newAuthority(t)
	opt, d := tlsPair(t, a, "peer")
	d.TLSConfig.ServerName = "server"
	duration := 2 * time.Second
	if testing.Short() {
		duration /= 10
	}
	ctx, cancel := context.WithTimeout(context.Background(), duration)
	defer cancel()
	dir := t.TempDir()
	var all sync.WaitGroup
	for _, urls := range [][2]string{
		{reserve(t), reserve(t)},
		{strings.Replace(reserve(t), "tcp", "tls+tcp", 1), strings.Replace(reserve(t), "tcp", "tls+tcp", 1)},
		{"ipc://" + dir + "/s", "ipc://" + dir + "/p"},
		{"inproc://churn-s", "inproc://churn-p"},
	} {
		pause := func() {
			select {
			case <-time.After(time.Duration(rand.Int64N(int64(3 * time.Millisecond)))):
			case <-ctx.Done():
			}
		}
		all.Go(func() {
			for ctx.Err() == nil {
				server, err := gopherdiscovery.ServerContext(ctx, urls[0], urls[1], opt)
				if err != nil {
					t.Error(err)
					return
				}
				pause()
				pause()
				if rand.IntN(2) == 0 {
					server.Cancel()
				}
				server.Close()
			}
		})
		for range 4 {
			all.Go(func() {
				for ctx.Err() == nil {
					client, err := d.ClientWithSub(ctx, urls[0], urls[1], "client")
					if err != nil {
						t.Error(err)
						return
					}
					pause()
					sub, err := d.NewSubscriber(ctx, urls[1])
					if err != nil {
						t.Error(err)
						return
					}
					pause()
					if rand.IntN(2) == 0 {
						client.Cancel()
					}
					sub.Close()
					client.Close()
				}
			})
		}
	}
	all.Wait()
	if left := leftGoroutines(); left != "" {
		t.Errorf("goroutines left behind:\n%s", left)
	}
}

func TestNoDescriptorIsLeft(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("counts descriptors in /proc")
	}
	before := countDescriptors(t)
	server := startServer(t, quickOptions)
	for i := range 20 {
		client, peers := join(t, server, "client")
		await(t, peers, "client")
		if i%2 == 0 {
			client.Close()
		}
		defer client.Close()
	}
	server.Close()
	// Half of the clients are still looking for their server.
	if server.Stats().Clients != 0 {
		t.Errorf("the closed server counts %d clients", server.Stats().Clients)
	}
	t.Cleanup(func() {
		if after := countDescriptors(t); after > before {
			t.Errorf("%d descriptors before, %d after", before, after)
		}
	})
}

func countDescriptors(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}
