package clitest

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// PollTime is also ReturnTime. It is short: a list is complete after it.
const PollTime = 50 * time.Millisecond

// Quiet connects without a log.
var Quiet = &gopherdiscovery.Dialer{Logger: slog.New(slog.DiscardHandler)}

// StartServer starts a server that ends with the test.
func StartServer(t *testing.T, urlServer, urlPubSub string, opt gopherdiscovery.Options) *gopherdiscovery.DiscoveryServer {
	t.Helper()
	opt.PollTime, opt.ReturnTime = PollTime, PollTime
	opt.Logger = slog.New(slog.DiscardHandler)
	server, err := gopherdiscovery.Server(urlServer, urlPubSub, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server
}

// Join announces a service until the client is closed, or the test ends.
func Join(t *testing.T, dialer *gopherdiscovery.Dialer, urlServer, service string) *gopherdiscovery.DiscoveryClient {
	t.Helper()
	client, err := dialer.Client(t.Context(), urlServer, service)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Wait)
	return client
}

// AwaitList subscribes, and returns when the list is this one.
func AwaitList(t *testing.T, dialer *gopherdiscovery.Dialer, urlPubSub string, want ...string) {
	t.Helper()
	sub, err := dialer.NewSubscriber(t.Context(), urlPubSub)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	deadline := time.After(Patience)
	var got []string
	for {
		select {
		case got = <-sub.Changes():
			if slices.Equal(got, want) {
				return
			}
		case <-deadline:
			t.Fatalf("after %v the list is %v, want %v", Patience, got, want)
		}
	}
}
