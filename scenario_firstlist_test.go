package gopherdiscovery_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// firstListOptions are those with which the examples of 2015 must work.
var firstListOptions = map[string]gopherdiscovery.Options{
	"default options": {Logger: slog.New(slog.DiscardHandler)},
	"PollTime 20ms":   {PollTime: 20 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)},
}

// next returns the next list.
func next(t *testing.T, lists <-chan []string) []string {
	t.Helper()
	select {
	case list := <-lists:
		return list
	case <-time.After(patience):
		t.Fatal("got no list")
		return nil
	}
}

func expectNext(t *testing.T, lists <-chan []string, want ...string) {
	t.Helper()
	if got := next(t, lists); !slices.Equal(got, want) {
		t.Errorf("got list %q, want %q", got, want)
	}
}

// The README of 2015: the first list has all clients that were created in a
// row, and the next one those that are left.
func TestFirstListOfClients(t *testing.T) {
	for name, opt := range firstListOptions {
		t.Run(name, func(t *testing.T) {
			server := startServer(t, opt)
			_, peers := join(t, server, "client1")
			two, _ := join(t, server, "client2")
			join(t, server, "client3")
			expectNext(t, peers, "client1", "client2", "client3")
			two.Cancel()
			expectNext(t, peers, "client1", "client3")
		})
	}
}

// The other example of 2015: a subscriber that was there before the clients.
func TestFirstListOfASubscriber(t *testing.T) {
	for name, opt := range firstListOptions {
		t.Run(name, func(t *testing.T) {
			server := startServer(t, opt)
			lists := subscribe(t, server).Changes()
			announce(t, server, "client1")
			two := announce(t, server, "client2")
			expectNext(t, lists, "client1", "client2")
			two.Cancel()
			expectNext(t, lists, "client1")
		})
	}
}

// The order in which a program creates its parts makes no difference, even if
// the server comes last and the others have to wait for it.
func TestFirstListInAnyOrder(t *testing.T) {
	t.Parallel()
	for name, opt := range firstListOptions {
		for _, order := range []string{
			"server subscriber client1 client2",
			"server client1 subscriber client2",
			"server client1 client2 subscriber",
			"subscriber server client1 client2",
			"subscriber client1 server client2",
			"client1 subscriber client2 server",
			"client1 client2 subscriber wait server",
			"subscriber client1 client2 wait server",
		} {
			t.Run(name+"/"+order, func(t *testing.T) {
				t.Parallel()
				survey, pubsub := reserve(t), reserve(t)
				var lists chan []string
				for part := range strings.FieldsSeq(order) {
					switch part {
					case "server":
						startServerAt(t, survey, pubsub, opt)
					case "subscriber":
						sub, err := quiet.NewSubscriber(context.Background(), pubsub)
						if err != nil {
							t.Fatal(err)
						}
						t.Cleanup(func() { sub.Close() })
						lists = sub.Changes()
					case "wait":
						// The pauses between attempts are long by now.
						time.Sleep(2 * time.Second)
					default:
						client, err := quiet.Client(context.Background(), survey, part)
						if err != nil {
							t.Fatal(err)
						}
						t.Cleanup(func() { client.Close() })
					}
				}
				expectNext(t, lists, "client1", "client2")
			})
		}
	}
}

// A cluster whose server comes last has the whole first list too.
func TestFirstListOfClientsThatWait(t *testing.T) {
	t.Parallel()
	for name, opt := range firstListOptions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			survey, pubsub := reserve(t), reserve(t)
			var all []chan []string
			var want []string
			for i := range 10 {
				want = append(want, fmt.Sprint("client", i))
				client, err := quiet.ClientWithSub(context.Background(), survey, pubsub, want[i])
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { client.Close() })
				peers, err := client.Peers()
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, peers)
			}
			time.Sleep(2 * time.Second) // the pauses between attempts are long by now
			startServerAt(t, survey, pubsub, opt)
			for _, peers := range all {
				expectNext(t, peers, want...)
			}
		})
	}
}
