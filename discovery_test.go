package gopherdiscovery_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	netcontext "golang.org/x/net/context" //lint:ignore SA1019 the test is that this one fits

	"github.com/dahernan/gopherdiscovery"
)

func TestOneClient(t *testing.T) {
	server := startServer(t, quickOptions)
	_, peers := join(t, server, "client1")
	await(t, peers, "client1")
	if got, want := server.Services(), []string{"client1"}; !slices.Equal(got, want) {
		t.Errorf("Services: got %q, want %q", got, want)
	}
}

func TestSeveralClientsSeeTheSameList(t *testing.T) {
	server := startServer(t, quickOptions)
	names := []string{"client1", "client2", "client3", "client4"}
	var all []chan []string
	for _, name := range names {
		_, peers := join(t, server, name)
		all = append(all, peers)
	}
	for _, peers := range all {
		await(t, peers, names...)
	}
}

func TestClientsAddedOneByOneAndRemoved(t *testing.T) {
	server := startServer(t, quickOptions)
	_, peers := join(t, server, "client1")
	await(t, peers, "client1")
	two := announce(t, server, "client2")
	await(t, peers, "client1", "client2")
	three := announce(t, server, "client3")
	await(t, peers, "client1", "client2", "client3")
	two.Cancel()
	await(t, peers, "client1", "client3")
	three.Cancel()
	await(t, peers, "client1")
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

func TestServerCancelled(t *testing.T) {
	server := startServer(t, quickOptions)
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

func TestIndependentSubscriber(t *testing.T) {
	server := startServer(t, quickOptions)
	sub := subscribe(t, server)
	await(t, sub.Changes())
	announce(t, server, "client1")
	await(t, sub.Changes(), "client1")
	sub.Close()
	awaitClosed(t, sub.Changes())
}

func TestLateSubscriberGetsTheListAtOnce(t *testing.T) {
	opt := quickOptions
	server := startServer(t, opt)
	announce(t, server, "client1")
	eventually(t, "client1 is listed", func() bool { return len(server.Services()) == 1 })
	lists := server.Stats().Lists
	await(t, subscribe(t, server).Changes(), "client1")
	if got := server.Stats().Lists; got != lists {
		t.Errorf("the server published %d lists for the late subscriber, want none", got-lists)
	}
}

func TestPeersWithoutSubscription(t *testing.T) {
	server := startServer(t, quickOptions)
	peers, err := announce(t, server, "client1").Peers()
	if !errors.Is(err, gopherdiscovery.ErrNoSubscriber) || peers != nil {
		t.Errorf("got %v, %v, want nil, %v", peers, err, gopherdiscovery.ErrNoSubscriber)
	}
}

// List tells what was delivered last without taking it from the channel, and is as new as any list that has been received.
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
	eventually(t, "the client is in its own list", func() bool { return slices.Equal(client.List(), []string{"one"}) })
	peers, _ := client.Peers()
	await(t, peers, "one")
	for range 20 {
		two := announce(t, server, "two")
		for len(<-peers) != 2 {
		}
		if got, want := client.List(), []string{"one", "two"}; !slices.Equal(got, want) {
			t.Fatalf("List: got %q, want %q as received", got, want)
		}
		two.Close()
		await(t, peers, "one")
	}
	client.List()[0] = "spoilt"
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

func TestSubscriberCancelled(t *testing.T) {
	server := startServer(t, quickOptions)
	sub := subscribe(t, server)
	await(t, sub.Changes())
	sub.Cancel()
	sub.Cancel()
	sub.Wait()
	awaitClosed(t, sub.Changes())
	if got := sub.List(); got == nil || len(got) != 0 {
		t.Errorf("List after the end: got %v, want the last one, which is empty", got)
	}
}

func TestOneNameTwice(t *testing.T) {
	server := startServer(t, quickOptions)
	sub := subscribe(t, server)
	twins := []*gopherdiscovery.DiscoveryClient{announce(t, server, "twin"), announce(t, server, "twin")}
	await(t, sub.Changes(), "twin")
	eventually(t, "both are connected and heard", func() bool { return server.Stats().Answers >= 2 && server.Stats().Clients == 2 })
	twins[0].Close()
	eventually(t, "one has left", func() bool { return server.Stats().Clients == 1 })
	announce(t, server, "witness")
	await(t, sub.Changes(), "twin", "witness")
	twins[1].Close()
	await(t, sub.Changes(), "witness")
}

func TestListsAreSortedAndTheReceivers(t *testing.T) {
	server := startServer(t, quickOptions)
	for _, name := range []string{"c", "a", "b"} {
		announce(t, server, name)
	}
	one, two := subscribe(t, server).Changes(), subscribe(t, server).Changes()
	await(t, one, "a", "b", "c")
	eventually(t, "the list is kept", func() bool { return len(server.Services()) == 3 })
	server.Services()[0] = "spoilt"
	if got, want := server.Services(), []string{"a", "b", "c"}; !slices.Equal(got, want) {
		t.Errorf("Services: got %q, want %q", got, want)
	}
	list := <-two
	for len(list) < 3 {
		list = <-two
	}
	clear(list)
	announce(t, server, "d")
	await(t, one, "a", "b", "c", "d")
	await(t, two, "a", "b", "c", "d")
}

func TestSlowReaderGetsTheNewest(t *testing.T) {
	server := startServer(t, quickOptions)
	_, slow := join(t, server, "slow")
	_, fast := join(t, server, "fast")
	await(t, fast, "fast", "slow")
	for i := range 20 {
		client := announce(t, server, "guest")
		await(t, fast, "fast", "guest", "slow")
		if i < 19 {
			client.Close()
			await(t, fast, "fast", "slow")
		}
	}
	if before := await(t, slow, "fast", "guest", "slow"); len(before) > 2 {
		t.Errorf("got %d lists before the newest, want at most the one that waited", len(before))
	}
}

// The subscriber reads nothing while more is published than the system buffers, so that the server has to skip lists.
func TestSlowConnectionSkipsToTheNewest(t *testing.T) {
	server := startServer(t, quickOptions)
	survey, pubsub := server.URLs()
	stuck := dialRaw(t, pubsub, protoSub, protoPub)
	crowd := dialRaw(t, survey, protoRespondent, protoSurveyor)
	sub := subscribe(t, server)
	id := crowd.mustReceive(t)
	// One connection brings thousands of long names, as a device would.
	const names = 4000
	for i := range names {
		if err := crowd.send(fmt.Appendf(slices.Clone(id), "%04d-%s", i, strings.Repeat("x", 500))); err != nil {
			t.Fatal(err)
		}
	}
	for list := range sub.Changes() {
		if len(list) == names {
			break
		}
	}
	lists := server.Stats().Lists
	for range 20 {
		client := announce(t, server, "guest")
		eventually(t, "the guest is listed", func() bool { return server.Stats().Services == names+1 })
		client.Close()
		eventually(t, "the guest is gone", func() bool { return server.Stats().Services == names })
	}
	announce(t, server, "last")
	eventually(t, "the last is listed", func() bool { return server.Stats().Services == names+1 })
	published := server.Stats().Lists - lists
	var got int
	for body := ""; !strings.HasSuffix(body, "|last"); got++ {
		body = string(stuck.mustReceive(t))
	}
	if uint64(got) >= published {
		t.Errorf("the connection was sent %d lists of %d published, want fewer", got, published)
	}
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

// reserve returns a URL with a port that was free a moment ago.
func reserve(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "tcp://" + l.Addr().String()
}

func TestUnknownHostIsRetried(t *testing.T) {
	logger, book := newLogger()
	d := &gopherdiscovery.Dialer{Logger: logger}
	client, err := d.Client(context.Background(), "tcp://no-such-host.invalid:40007", "one")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	eventually(t, "the failure is logged", func() bool { return strings.Contains(book.String(), "no-such-host.invalid") })
}

func TestManyClientsWithoutAFalseLeave(t *testing.T) {
	const size = 300
	server := startServer(t, quickOptions)
	sub := subscribe(t, server)
	for i := range size {
		announce(t, server, fmt.Sprintf("client%03d", i))
	}
	longest := 0
	for list := range sub.Changes() {
		if len(list) < longest {
			t.Fatalf("the list fell from %d names to %d", longest, len(list))
		}
		if longest = len(list); longest == size {
			break
		}
	}
	polls := server.Stats().Polls
	eventually(t, "everyone was polled a few times", func() bool { return server.Stats().Polls >= polls+5 })
	expectNone(t, sub.Changes())
	if stats := server.Stats(); stats.Missed != 0 {
		t.Errorf("%d surveys were missed, want none", stats.Missed)
	}
}

func TestEitherContextFits(t *testing.T) {
	server := startServer(t, quickOptions)
	_, pubsub := server.URLs()
	for name, ctx := range map[string]context.Context{"standard": context.Background(), "x/net": netcontext.Background()} {
		ctx, cancel := context.WithCancel(ctx)
		var sub *gopherdiscovery.Subscriber
		var err error
		sub, err = gopherdiscovery.NewSubscriber(ctx, pubsub)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		cancel()
		awaitClosed(t, sub.Changes())
		sub.Wait()
	}
}

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
	_, inUse := net.Listen("tcp", taken.Addr().String()) // what the system calls it
	for cause := inUse; cause != nil; cause = errors.Unwrap(cause) {
		inUse = cause
	}
	for _, urls := range [][2]string{{url, free}, {free, url}} {
		server, err := gopherdiscovery.Server(urls[0], urls[1], quickOptions)
		if !errors.Is(err, inUse) || !strings.Contains(err.Error(), url) {
			t.Errorf("got error %v, want address in use, naming %s", err, url)
		}
		if server != nil {
			t.Errorf("got a server beside the error")
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
