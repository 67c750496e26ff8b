package gopherdiscovery_test

import (
	"fmt"
	"math"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/sptest"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
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

func TestIndependentSubscriber(t *testing.T) {
	t.Parallel()
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
	testmain.Await(t, "client1 is listed", func() bool { return len(server.Services()) == 1 })
	lists := server.Stats().Lists
	await(t, subscribe(t, server).Changes(), "client1")
	if got := server.Stats().Lists; got != lists {
		t.Errorf("the server published %d lists for the late subscriber, want none", got-lists)
	}
}

func TestSubscriberCancelled(t *testing.T) {
	t.Parallel()
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

func TestListsAreSortedAndTheReceivers(t *testing.T) {
	server := startServer(t, quickOptions)
	for _, name := range []string{"c", "a", "b"} {
		announce(t, server, name)
	}
	one, two := subscribe(t, server).Changes(), subscribe(t, server).Changes()
	await(t, one, "a", "b", "c")
	testmain.Await(t, "the list is kept", func() bool { return len(server.Services()) == 3 })
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

// The subscriber reads nothing while more is published than the system buffers,
// so the server has to skip lists.
func TestSlowConnectionSkipsToTheNewest(t *testing.T) {
	opt := quickOptions
	opt.MissedSurveys = math.MaxInt32 // the device answers only once
	server := startServer(t, opt)
	survey, pubsub := server.URLs()
	stuck := sptest.Dial(t, pubsub, sptest.Sub, sptest.Pub)
	if err := stuck.Conn.(*net.TCPConn).SetReadBuffer(256 << 10); err != nil {
		t.Fatal(err)
	}
	crowd := sptest.Dial(t, survey, sptest.Respondent, sptest.Surveyor)
	sub := subscribe(t, server)
	id := crowd.MustReceive(t)
	// One connection brings a thousand long names, as a device would.
	const names = 1000
	for i := range names {
		if err := crowd.Send(fmt.Appendf(slices.Clone(id), "%04d-%s", i, strings.Repeat("x", 500))); err != nil {
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
		testmain.Await(t, "the guest is listed", func() bool { return server.Stats().Services == names+1 })
		client.Close()
		testmain.Await(t, "the guest is gone", func() bool { return server.Stats().Services == names })
	}
	announce(t, server, "last")
	testmain.Await(t, "the last is listed", func() bool { return server.Stats().Services == names+1 })
	published := server.Stats().Lists - lists
	var got int
	for body := ""; !strings.HasSuffix(body, "|last"); {
		body = string(stuck.MustReceive(t))
		// The lists of the crowd while it grows are not among the published.
		if strings.Count(body, "|") >= names-1 {
			got++
		}
	}
	if uint64(got) >= published {
		t.Errorf("the connection was sent %d lists of %d published, want fewer", got, published)
	}
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
	testmain.Await(t, "everyone was polled a few times", func() bool { return server.Stats().Polls >= polls+5 })
	expectNone(t, sub.Changes())
	if stats := server.Stats(); stats.Missed != 0 {
		t.Errorf("%d surveys were missed, want none", stats.Missed)
	}
}
