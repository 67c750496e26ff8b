// Package discoverytest runs a server and its clients in the process of a test.
//
//	func TestProxy(t *testing.T) {
//		cluster := discoverytest.Start(t, "http://10.0.0.2:8080", "http://10.0.0.3:8080")
//		proxy := NewProxy(cluster.PubSub)
//		…
//		cluster.Leave("http://10.0.0.2:8080")
//
// It takes milliseconds. All that it starts has ended when the test has.
package discoverytest

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// patience is how long a change may take. It is only ever used up by a test
// that fails.
const patience = 30 * time.Second

var quiet = slog.New(slog.DiscardHandler)

// Cluster is a server on ports that the system has chosen, and clients. Its
// methods are for the goroutine of the test.
type Cluster struct {
	// Survey and PubSub are the URLs of the server: what clients connect to,
	// and what subscribers do.
	Survey, PubSub string

	t       testing.TB
	server  *gopherdiscovery.DiscoveryServer
	list    []string
	clients map[string]*gopherdiscovery.DiscoveryClient
}

// Start starts a server, and a client for each of the names. It returns when
// these are on the list: a subscriber that connects is sent it at once. An
// error fails the test. All ends with the test, after what the test has given
// to Cleanup since.
func Start(t testing.TB, names ...string) *Cluster {
	t.Helper()
	server, err := gopherdiscovery.Server("tcp://127.0.0.1:0", "tcp://127.0.0.1:0", gopherdiscovery.Options{
		ReturnTime:   time.Millisecond, // nobody was there before the start
		JoinInterval: time.Millisecond,
		Logger:       quiet,
	})
	if err != nil {
		t.Fatalf("discoverytest: %v", err)
	}
	t.Cleanup(func() { _ = server.Close() })
	c := &Cluster{t: t, server: server, clients: make(map[string]*gopherdiscovery.DiscoveryClient)}
	c.Survey, c.PubSub = server.URLs()
	c.Join(names...)
	return c
}

// Join announces names, and returns when they are on the list. A name that has
// joined already is an error.
func (c *Cluster) Join(names ...string) {
	c.t.Helper()
	dialer := gopherdiscovery.Dialer{Logger: quiet}
	for _, name := range names {
		if c.clients[name] != nil {
			c.t.Fatalf("discoverytest: %s has joined already", name)
		}
		client, err := dialer.Client(context.Background(), c.Survey, name)
		if err != nil {
			c.t.Fatalf("discoverytest: %v", err)
		}
		c.t.Cleanup(func() { _ = client.Close() })
		c.clients[name] = client
	}
	c.await(names, true)
}

// Leave ends the clients of these names, and returns when they are off the
// list. A name that has not joined is an error.
func (c *Cluster) Leave(names ...string) {
	c.t.Helper()
	for _, name := range names {
		client := c.clients[name]
		if client == nil {
			c.t.Fatalf("discoverytest: %s has not joined", name)
		}
		_ = client.Close()
		delete(c.clients, name)
	}
	c.await(names, false)
}

// await returns when all of the names are on the list, or none.
func (c *Cluster) await(names []string, on bool) {
	c.t.Helper()
	isOther := func(name string) bool { return slices.Contains(c.list, name) != on }
	for late := time.After(patience); slices.ContainsFunc(names, isOther); {
		select {
		case c.list = <-c.server.Changes():
		case <-late:
			c.t.Fatalf("discoverytest: after %v the list is %q, want it with %q: %t", patience, c.list, names, on)
		}
	}
}
