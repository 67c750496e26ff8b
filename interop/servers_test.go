package interop_test

import (
	"fmt"
	"testing"
)

// The tests in this file run the old server. It publishes a list only once,
// when it has changed, and sends nothing to subscribers that connect later. So
// a subscriber that must see a list is connected before the change.

func TestOurClientWithOldServer(t *testing.T) {
	t.Parallel()
	overEach(t, func(t *testing.T, survey, pubsub string) {
		server := startOldServer(t, survey, pubsub)
		old, ours := subscribeOld(t, server.pubsub), subscribe(t, server.pubsub)
		server.awaitSubscribers(t, 2)
		client, peers := join(t, server.survey, server.pubsub, "ours")
		await(t, old, "ours")
		await(t, ours, "ours")
		server.awaitSubscribers(t, 3)

		names := []string{"ours"}
		var guests []*oldClient
		for i := range 5 {
			guests = append(guests, announceOld(t, server.survey, fmt.Sprintf("z-%d", i)))
			names = append(names, fmt.Sprintf("z-%d", i))
		}
		awaitSame(t, old, names...)
		await(t, ours, names...)
		await(t, peers, names...)

		guests[0].Close()
		await(t, peers, "ours", "z-1", "z-2", "z-3", "z-4")
		client.Close()
		awaitSame(t, old, "z-1", "z-2", "z-3", "z-4")
		await(t, ours, "z-1", "z-2", "z-3", "z-4")
		for _, guest := range guests[1:] {
			guest.Close()
		}
		await(t, old, "")
		await(t, ours)
	})
}

func TestOurClientOutlivesOldServer(t *testing.T) {
	t.Parallel()
	overEach(t, func(t *testing.T, survey, pubsub string) {
		server := startOldServer(t, survey, pubsub)
		old, ours := subscribeOld(t, server.pubsub), subscribe(t, server.pubsub)
		server.awaitSubscribers(t, 2)
		_, peers := join(t, server.survey, server.pubsub, "ours")
		await(t, ours, "ours")
		server.awaitSubscribers(t, 3)
		names := []string{"ours"}
		// Each new name shows that the list of the new server is complete.
		for _, guest := range []string{"p", "q"} {
			server.Close()
			server = startOldServer(t, server.survey, server.pubsub)
			server.awaitSubscribers(t, 3)
			announceOld(t, server.survey, guest)
			names = append(names, guest)
			awaitSame(t, old, names...)
			await(t, ours, names...)
			await(t, peers, names...)
		}
	})
}
