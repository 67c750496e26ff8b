package interop_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// The tests in this file run our server.

func TestOldClient(t *testing.T) {
	t.Parallel()
	overEach(t, func(t *testing.T, survey, pubsub string) {
		survey, pubsub = startServer(t, survey, pubsub).URLs()
		lists := subscribeOld(t, pubsub)
		awaitNext(t, lists, "") // no one is there
		one := announceOld(t, survey, "one")
		awaitNext(t, lists, "one")
		late := subscribeOld(t, pubsub)
		awaitNext(t, late, "one")
		another := announceOld(t, survey, "another")
		for _, lists := range []<-chan []string{lists, late} {
			awaitNext(t, lists, "another", "one")
		}
		one.Close()
		awaitNext(t, lists, "another")
		// If all clients end within a second, the server waits for them.
		time.Sleep(1100 * time.Millisecond)
		another.Close()
		awaitNext(t, lists, "")
	})
}

func TestOldClientIsKilled(t *testing.T) {
	t.Parallel()
	overEach(t, func(t *testing.T, survey, pubsub string) {
		survey, pubsub = startServer(t, survey, pubsub).URLs()
		lists, ours := subscribeOld(t, pubsub), subscribe(t, pubsub)
		awaitNext(t, lists, "")
		awaitNext(t, ours)
		announceOld(t, survey, "survivor")
		awaitNext(t, lists, "survivor")
		awaitNext(t, ours, "survivor")
		for range 2 { // killed and started again
			kill := startClientProcess(t, survey, "old")
			awaitNext(t, lists, "old", "survivor")
			awaitNext(t, ours, "old", "survivor")
			kill()
			awaitNext(t, lists, "survivor")
			awaitNext(t, ours, "survivor")
		}
	})
}

func TestOldClientOutlivesOurServer(t *testing.T) {
	t.Parallel()
	overEach(t, func(t *testing.T, survey, pubsub string) {
		server := startServer(t, survey, pubsub)
		survey, pubsub = server.URLs()
		announceOld(t, survey, "old")
		lists := subscribeOld(t, pubsub)
		await(t, lists, "old")
		for range 2 {
			server.Close()
			server = startServer(t, survey, pubsub)
			ours := announce(t, survey, "ours")
			await(t, lists, "old", "ours")
			ours.Close()
			awaitNext(t, lists, "old")
		}
	})
}

func TestOldAndNewClients(t *testing.T) {
	t.Parallel()
	overEach(t, func(t *testing.T, survey, pubsub string) {
		server := startServer(t, survey, pubsub)
		survey, pubsub = server.URLs()
		newcomer, peers := join(t, survey, pubsub, "new-1")
		await(t, peers, "new-1")
		lists := map[string]<-chan []string{
			"a client of ours":     peers,
			"a subscriber of ours": subscribe(t, pubsub),
			"an old subscriber":    subscribeOld(t, pubsub),
		}
		for _, name := range []string{"a subscriber of ours", "an old subscriber"} {
			awaitNext(t, lists[name], "new-1")
		}
		all := func(want ...string) {
			t.Helper()
			for name, lists := range lists {
				if before := await(t, lists, want...); len(before) > 0 {
					t.Errorf("%s got lists %q before %q, want none", name, before, want)
				}
			}
		}
		old := announceOld(t, survey, "old-1")
		all("new-1", "old-1")
		second := announce(t, survey, "new-2")
		all("new-1", "new-2", "old-1")
		announceOld(t, survey, "old-2")
		all("new-1", "new-2", "old-1", "old-2")
		old.Close()
		all("new-1", "new-2", "old-2")
		second.Close()
		all("new-1", "old-2")

		// An old and a new client with the same name are one entry, until the
		// last of them leaves.
		twin, oldTwin := announce(t, survey, "twin"), announceOld(t, survey, "twin")
		all("new-1", "old-2", "twin")
		testmain.Await(t, "both twins are connected", func() bool { return server.Stats().Clients == 4 })
		polls := server.Stats().Polls
		testmain.Await(t, "both have been asked", func() bool { return server.Stats().Polls > polls+1 })
		twin.Close()
		announce(t, survey, "witness")
		all("new-1", "old-2", "twin", "witness")
		oldTwin.Close()
		all("new-1", "old-2", "witness")

		delete(lists, "a client of ours")
		newcomer.Close()
		all("old-2", "witness")
	})
}

func TestManyOldClients(t *testing.T) {
	t.Parallel()
	overEach(t, func(t *testing.T, survey, pubsub string) {
		server := startServer(t, survey, pubsub)
		survey, pubsub = server.URLs()
		lists, ours := subscribeOld(t, pubsub), subscribe(t, pubsub)
		awaitNext(t, lists, "")
		awaitNext(t, ours)
		var names []string
		var clients []*oldClient
		for i := range 50 {
			names = append(names, fmt.Sprintf("old-%02d", i))
			clients = append(clients, announceOld(t, survey, names[i]))
		}
		grow(t, lists, names)
		grow(t, ours, names)

		// With so many clients, none is dropped in a poll.
		polls := server.Stats().Polls
		testmain.Await(t, "three more polls", func() bool { return server.Stats().Polls > polls+3 })
		announceOld(t, survey, "witness")
		awaitNext(t, lists, append(slices.Clone(names), "witness")...)
		awaitNext(t, ours, append(slices.Clone(names), "witness")...)

		for _, client := range clients {
			client.Close()
		}
		await(t, lists, "witness")
		await(t, ours, "witness")
	})
}

// grow awaits a list of all the names, and fails the test if a name left a list
// on the way.
func grow(t *testing.T, lists <-chan []string, names []string) {
	t.Helper()
	var last []string
	for _, list := range await(t, lists, names...) {
		if _, left := gopherdiscovery.Diff(last, list); len(left) > 0 {
			t.Errorf("%q left the list while everyone was alive", left)
		}
		last = list
	}
}
