package gopherdiscovery_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/dahernan/gopherdiscovery"
)

// fakeCluster is a set of servers, clients and subscribers in fake time,
// connected by a network that can be made to fail. Subscribers ask for changes. Servers are
// numbered.
type fakeCluster struct {
	*gopherdiscovery.Memory
	t      testing.TB
	dialer *gopherdiscovery.Dialer
}

func newFakeCluster(t testing.TB) fakeCluster {
	t.Helper()
	return fakeCluster{gopherdiscovery.NewMemory(t), t, quiet}
}

func survey(n int) string { return fmt.Sprintf("survey%d", n) }
func lists(n int) string  { return fmt.Sprintf("lists%d", n) }

// urls returns the URLs at which the peer with the given name reaches a port of
// the servers.
func (w fakeCluster) urls(port func(int) string, name string, servers []int) string {
	var urls []string
	for _, n := range servers {
		urls = append(urls, w.URL(port(n)+"/"+name))
	}
	return strings.Join(urls, ",")
}

func (w fakeCluster) server(n int) *gopherdiscovery.DiscoveryServer {
	w.t.Helper()
	server := startServerAt(w.t, w.URL(survey(n)), w.URL(lists(n)), bubbleOptions)
	synctest.Wait()
	return server
}

// client starts a client without a subscription.
func (w fakeCluster) client(name string, servers ...int) *gopherdiscovery.DiscoveryClient {
	w.t.Helper()
	client, err := w.dialer.Client(context.Background(), w.urls(survey, name, servers), name)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { client.Close() })
	return client
}

// peer starts a client with a subscription.
func (w fakeCluster) peer(name string, servers ...int) *gopherdiscovery.DiscoveryClient {
	w.t.Helper()
	client, err := w.dialer.ClientWithSub(context.Background(), w.urls(survey, name, servers), w.urls(lists, name, servers), name)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { client.Close() })
	return client
}

func (w fakeCluster) subscriber(name string, servers ...int) *gopherdiscovery.Subscriber {
	w.t.Helper()
	return w.subscribe(w.urls(lists, name, servers))
}

// plainSubscriber starts a subscriber that only meets servers that do not offer
// changes.
func (w fakeCluster) plainSubscriber(name string, servers ...int) *gopherdiscovery.Subscriber {
	w.t.Helper()
	urls := w.urls(lists, name, servers)
	return w.subscribe(strings.ReplaceAll(urls, "memory://", "memory+plain://"))
}

func (w fakeCluster) subscribe(urls string) *gopherdiscovery.Subscriber {
	w.t.Helper()
	sub, err := w.dialer.NewSubscriber(context.Background(), urls)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { sub.Close() })
	return sub
}

// These are the kinds of messages of a subscription in changes, as they are on
// the wire.
const (
	welcome = 0x01
	have    = 0x02
	list    = 0x03
	change  = 0x04
	beat    = 0x05
)

// lastTo returns the kinds of the messages that server n has sent on a
// subscriber's newest connection, and how many bytes they have in total.
func (w fakeCluster) lastTo(name string, n int) (kinds []byte, bytes int) {
	w.t.Helper()
	synctest.Wait()
	conns := w.Conns(lists(n) + "/" + name)
	if len(conns) == 0 {
		w.t.Fatalf("%s was never connected to server %d", name, n)
	}
	for _, m := range conns[len(conns)-1].Down() {
		kinds = append(kinds, m.Body[0])
		bytes += len(m.Body)
	}
	return kinds, bytes
}

// expectState checks what a subscriber reports about its first server.
func expectState(t *testing.T, sub *gopherdiscovery.Subscriber, connected, complete bool) {
	t.Helper()
	synctest.Wait()
	if s := sub.Servers()[0]; s.Connected != connected || s.Complete != complete {
		t.Errorf("Servers: got connected %v and complete %v, want %v and %v", s.Connected, s.Complete, connected, complete)
	}
}
