package gopherdiscovery_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

func TestPeersWithoutSubscription(t *testing.T) {
	server := startServer(t, quickOptions)
	peers, err := announce(t, server, "client1").Peers()
	if !errors.Is(err, gopherdiscovery.ErrNoSubscriber) || peers != nil {
		t.Errorf("got %v, %v, want nil, %v", peers, err, gopherdiscovery.ErrNoSubscriber)
	}
}

// List returns the last delivered list without taking it from the channel. It
// is at least as new as any list received from the channel.
func TestList(t *testing.T) {
	survey, pubsub := reserve(t), reserve(t)
	client, err := quiet.ClientWithSub(context.Background(), survey, pubsub, "one")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if got := client.List(); got != nil {
		t.Errorf("before the first list: got %q, want nil", got)
	}
	server := startServerAt(t, survey, pubsub, quickOptions)
	testmain.Await(t, "the client is in its own list", func() bool { return slices.Equal(client.List(), []string{"one"}) })
	peers, _ := client.Peers()
	await(t, peers, "one")
	for range 20 {
		two := announce(t, server, "two")
		await(t, peers, "one", "two")
		if got, want := client.List(), []string{"one", "two"}; !slices.Equal(got, want) {
			t.Fatalf("List: got %q, want %q as received", got, want)
		}
		two.Close()
		await(t, peers, "one")
	}
	clear(client.List())
	if got := client.List(); !slices.Equal(got, []string{"one"}) {
		t.Errorf("the list of one caller is that of all: %q", got)
	}
	server.Close()
	if got := client.List(); !slices.Equal(got, []string{"one"}) {
		t.Errorf("without a server: got %q, want the last list", got)
	}
	if got := announce(t, server, "plain").List(); got != nil {
		t.Errorf("of a client without a subscription: got %q, want nil", got)
	}
}

func TestOneNameTwice(t *testing.T) {
	server := startServer(t, quickOptions)
	sub := subscribe(t, server)
	twins := []*gopherdiscovery.DiscoveryClient{announce(t, server, "twin"), announce(t, server, "twin")}
	await(t, sub.Changes(), "twin")
	testmain.Await(t, "both are connected and heard", func() bool { return server.Stats().Answers >= 2 && server.Stats().Clients == 2 })
	twins[0].Close()
	testmain.Await(t, "one has left", func() bool { return server.Stats().Clients == 1 })
	announce(t, server, "witness")
	await(t, sub.Changes(), "twin", "witness")
	twins[1].Close()
	await(t, sub.Changes(), "witness")
}

func TestClientCancelled(t *testing.T) {
	server := startServer(t, quickOptions)
	one, peers := join(t, server, "client1")
	sub := subscribe(t, server)
	await(t, peers, "client1")
	await(t, sub.Changes(), "client1")
	one.Cancel()
	awaitClosed(t, peers)
	await(t, sub.Changes())
}

func TestClientBeforeServer(t *testing.T) {
	survey, pubsub := reserve(t), reserve(t)
	client, err := quiet.ClientWithSub(context.Background(), survey, pubsub, "early")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	peers, _ := client.Peers()
	startServerAt(t, survey, pubsub, quickOptions)
	await(t, peers, "early")
}
