package gopherdiscovery_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

func TestServerEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	server, err := gopherdiscovery.ServerContext(ctx, anyPort, anyPort, quickOptions)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	server.Wait()
}

func TestTakenAddress(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	url := "tcp://" + taken.Addr().String()
	free := reserve(t)
	// This is what the system calls it.
	_, inUse := net.Listen("tcp", taken.Addr().String())
	if inUse == nil {
		t.Fatal("the system lets two listen on one address")
	}
	for cause := inUse; cause != nil; cause = errors.Unwrap(cause) {
		inUse = cause
	}
	for _, urls := range [][2]string{{url, free}, {free, url}} {
		server, err := gopherdiscovery.Server(urls[0], urls[1], quickOptions)
		if !errors.Is(err, inUse) || !strings.Contains(err.Error(), url) {
			t.Errorf("got error %v, want address in use, naming %s", err, url)
		}
		if server != nil {
			server.Close()
			t.Errorf("got a server, want only an error")
		}
		// The other address is free again.
		l, err := net.Listen("tcp", strings.TrimPrefix(free, "tcp://"))
		if err != nil {
			t.Fatalf("the failed constructor kept an address: %v", err)
		}
		l.Close()
	}
	if left := leftGoroutines(); left != "" {
		t.Errorf("the failed constructors left goroutines:\n%s", left)
	}
}

// The server delivers its lists as a subscriber does: the newest one replaces
// one that nobody has received, and none is equal to the one before.
func TestServerChanges(t *testing.T) {
	server := startServer(t, quickOptions)
	changes := server.Changes()
	first := announce(t, server, "client1")
	list := <-changes
	if !slices.Equal(list, []string{"client1"}) {
		t.Errorf("after a join: got %q, want client1", list)
	}
	clear(list)
	announce(t, server, "client2")
	testmain.Await(t, "the server has both", func() bool { return len(server.Services()) == 2 })
	first.Close()
	testmain.Await(t, "the server has one", func() bool { return len(server.Services()) == 1 })
	if before := await(t, server.Changes(), "client2"); len(before) > 0 {
		t.Errorf("got %q before the newest list", before)
	}
	server.Close()
	if list, open := <-changes; open {
		t.Errorf("after the end: got %q, want that the channel is closed", list)
	}
}

func TestServerCancelled(t *testing.T) {
	t.Parallel()
	server := startServerAt(t, reserve(t), reserve(t), quickOptions)
	_, peers := join(t, server, "client1")
	await(t, peers, "client1")
	server.Cancel()
	server.Wait()
	expectNone(t, peers)
	survey, pubsub := server.URLs()
	again := startServerAt(t, survey, pubsub, quickOptions)
	announce(t, again, "client2")
	await(t, peers, "client1", "client2")
}
