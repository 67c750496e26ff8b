package gopherdiscovery_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// The snippets of the documents are parts of these functions; see
// TestSnippetsAreCompiled.

func Example() {
	// One process runs the server. It surveys clients on the first URL, and
	// publishes the list of their names on the second.
	server, err := gopherdiscovery.Server("tcp://127.0.0.1:40007", "tcp://127.0.0.1:50007", gopherdiscovery.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	// Each of the other processes announces itself and reads the list.
	client, err := gopherdiscovery.ClientWithSub("tcp://127.0.0.1:40007", "tcp://127.0.0.1:50007", "http://10.0.0.2:8080")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	peers, err := client.Peers()
	if err != nil {
		log.Fatal(err)
	}
	for list := range peers {
		fmt.Println("peers:", list)
	}
}

func ExampleServer() {
	server, err := gopherdiscovery.Server("tcp://127.0.0.1:40007", "tcp://127.0.0.1:50007", gopherdiscovery.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	server.Wait()
}

// A client connects in the background. A server knows it when it has answered a
// survey.
func ExampleDiscoveryClient_Servers() {
	client, err := gopherdiscovery.Client("tcp://127.0.0.1:40007", "http://10.0.0.2:8080")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	isListed := func(s gopherdiscovery.ServerState) bool { return !s.Surveyed.IsZero() }
	for !slices.ContainsFunc(client.Servers(), isListed) {
		time.Sleep(10 * time.Millisecond)
	}
}

// With port 0 the system chooses the ports, and URLs returns them.
func ExampleDiscoveryServer_URLs() {
	server, err := gopherdiscovery.Server("tcp://127.0.0.1:0", "tcp://127.0.0.1:0", gopherdiscovery.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	survey, pubsub := server.URLs()
	client, err := gopherdiscovery.ClientWithSub(survey, pubsub, "http://10.0.0.2:8080")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	peers, err := client.Peers()
	if err != nil {
		log.Fatal(err)
	}
	for list := range peers {
		if len(list) > 0 {
			fmt.Println(list)
			break
		}
	}
	// Output: [http://10.0.0.2:8080]
}

// The server ends on SIGTERM or Ctrl-C. Its clients and subscribers are then
// disconnected, and its ports are free.
func ExampleServerContext() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	server, err := gopherdiscovery.ServerContext(ctx, "tcp://127.0.0.1:40007", "tcp://127.0.0.1:50007", gopherdiscovery.Options{})
	if err != nil {
		log.Fatal(err)
	}
	<-ctx.Done()
	server.Wait()
}

// A goroutine reads the lists. It ends with the client.
func ExampleDiscoveryClient_Peers() {
	client, err := gopherdiscovery.ClientWithSub("tcp://127.0.0.1:40007", "tcp://127.0.0.1:50007", "http://10.0.0.2:8080")
	if err != nil {
		log.Fatal(err)
	}
	peers, err := client.Peers()
	if err != nil {
		log.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for list := range peers {
			fmt.Println("peers:", list)
		}
	}()

	// Leave the list when the program ends.
	client.Close()
	<-read
}

// A handler that needs the list only now and then can call List instead of
// reading the channel.
func ExampleSubscriber_List() {
	sub, err := gopherdiscovery.NewSubscriber(context.Background(), "tcp://127.0.0.1:50007")
	if err != nil {
		log.Fatal(err)
	}
	defer sub.Close()

	http.HandleFunc("GET /peers", func(w http.ResponseWriter, r *http.Request) {
		list := sub.List()
		if list == nil {
			http.Error(w, "no list has come yet", http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(w).Encode(list)
	})
}

// A process is healthy while it can reach at least one of its servers.
func ExampleSubscriber_Servers() {
	sub, err := gopherdiscovery.NewSubscriber(context.Background(), "tcp://10.0.0.1:50007,tcp://10.0.0.2:50007")
	if err != nil {
		log.Fatal(err)
	}
	defer sub.Close()

	http.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		for _, server := range sub.Servers() {
			if server.Connected {
				return
			}
		}
		http.Error(w, "no discovery server can be reached", http.StatusServiceUnavailable)
	})
}

// The subscriber ends when its context is done.
func ExampleDialer_NewSubscriber() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	dialer := &gopherdiscovery.Dialer{Logger: slog.New(slog.NewJSONHandler(os.Stderr, nil))}
	sub, err := dialer.NewSubscriber(ctx, "tcp://127.0.0.1:50007")
	if err != nil {
		log.Fatal(err)
	}
	for list := range sub.Changes() { // closed when ctx ends
		fmt.Println("peers:", list)
	}
}

func ExampleDiff() {
	lists := make(chan []string, 3)
	lists <- []string{"a", "b"}
	lists <- []string{"a", "b", "c"}
	lists <- []string{"b", "c"}
	close(lists)

	var before []string
	for list := range lists {
		joined, left := gopherdiscovery.Diff(before, list)
		before = list
		fmt.Println("joined:", joined, "left:", left)
	}
	// Output:
	// joined: [a b] left: []
	// joined: [c] left: []
	// joined: [] left: [a]
}

func ExampleNewSubscriber() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	sub, err := gopherdiscovery.NewSubscriber(ctx, "tcp://127.0.0.1:50007")
	if err != nil {
		log.Fatal(err)
	}
	for list := range sub.Changes() { // closed when ctx ends
		fmt.Println("peers:", list)
	}
}

// groupcachePool stands for groupcache.HTTPPool, because the library does not
// depend on groupcache.
type groupcachePool struct {
	Transport func(context.Context) http.RoundTripper
}

func (*groupcachePool) Set(peers ...string) {}

func newHTTPPool(self string) *groupcachePool { return new(groupcachePool) }

var groupcache = struct{ NewHTTPPool func(string) *groupcachePool }{newHTTPPool}

func Example_groupcache() {
	self := "http://10.0.0.2:20008"
	pool := groupcache.NewHTTPPool(self)
	// A key whose peer has not answered within the timeout is loaded here. The
	// timeout must be longer than a load takes.
	const timeout = 500 * time.Millisecond
	transport := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: timeout}).DialContext,
		ResponseHeaderTimeout: timeout,
	}
	pool.Transport = func(context.Context) http.RoundTripper { return transport }
	pool.Set(self)

	client, err := gopherdiscovery.ClientWithSub("tcp://127.0.0.1:40007", "tcp://127.0.0.1:50007", self)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	peers, err := client.Peers()
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		for list := range peers {
			// The first list may be older than our join.
			if i, found := slices.BinarySearch(list, self); !found {
				list = slices.Insert(list, i, self)
			}
			pool.Set(list...)
		}
	}()

	// It serves http.DefaultServeMux, where NewHTTPPool registered the pool.
	server := &http.Server{Addr: "10.0.0.2:20008", ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// The client leaves the list before its HTTP server shuts down.
func Example_leave() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server := &http.Server{Addr: "10.0.0.2:8080", ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := server.ListenAndServe(); err != http.ErrServerClosed {
			log.Fatal(err)
		}
	}()
	client, err := gopherdiscovery.Client("tcp://127.0.0.1:40007", "http://10.0.0.2:8080")
	if err != nil {
		log.Fatal(err)
	}

	<-ctx.Done() // SIGTERM
	_ = client.Close()
	time.Sleep(500 * time.Millisecond) // now all peers know

	graceful, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(graceful); err != nil {
		log.Print(err) // some requests have not finished in time
	}
}

func ExampleDiscoveryServer_Stats() {
	server, err := gopherdiscovery.Server("inproc://stats-survey", "inproc://stats-lists", gopherdiscovery.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	stats := server.Stats()
	fmt.Println(stats.Clients, stats.Subscribers, stats.Services)
	// Output: 0 0 0
}

func Example_twoServers() {
	surveys := "tcp://10.0.0.1:40007,tcp://10.0.0.2:40007"
	lists := "tcp://10.0.0.1:50007,tcp://10.0.0.2:50007"
	client, err := gopherdiscovery.ClientWithSub(surveys, lists, "http://10.0.0.3:8080")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
}
