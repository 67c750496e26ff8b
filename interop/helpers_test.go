package interop_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
)

// With ourOptions no client is dropped for its silence, however busy the
// machine is. A client that leaves the list has lost its connection.
var ourOptions = gopherdiscovery.Options{
	SurveyTime:    10 * time.Second,
	PollTime:      100 * time.Millisecond,
	MissedSurveys: 1 << 30,
	Logger:        slog.New(slog.DiscardHandler),
}

// With oldOptions an old server's survey lasts until the server has heard
// nothing for RecvDeadline.
var oldOptions = gopherdiscovery.Options{
	SurveyTime:   5 * time.Second,
	RecvDeadline: 200 * time.Millisecond,
	PollTime:     20 * time.Millisecond,
}

var quiet = &gopherdiscovery.Dialer{Logger: slog.New(slog.DiscardHandler)}

// overEach runs a test over each transport that both libraries have between
// processes, with URLs to listen on. Both also have inproc, but it works within
// one process, and each library has its own.
func overEach(t *testing.T, test func(t *testing.T, survey, pubsub string)) {
	t.Run("tcp", func(t *testing.T) {
		test(t, sptest.Reserve(t), sptest.Reserve(t)) // some bind them again
	})
	t.Run("ipc", func(t *testing.T) {
		dir := t.TempDir()
		test(t, "ipc://"+dir+"/s", "ipc://"+dir+"/p")
	})
}

func startServer(t *testing.T, survey, pubsub string) *gopherdiscovery.DiscoveryServer {
	t.Helper()
	return startServerWith(t, survey, pubsub, ourOptions)
}

func startServerWith(t *testing.T, survey, pubsub string, opt gopherdiscovery.Options) *gopherdiscovery.DiscoveryServer {
	t.Helper()
	server := sptest.MustBind(t, func() (*gopherdiscovery.DiscoveryServer, error) {
		return gopherdiscovery.Server(survey, pubsub, opt)
	})
	t.Cleanup(func() { server.Close() })
	return server
}

func startOldServer(t *testing.T, survey, pubsub string) *oldServer {
	t.Helper()
	server := sptest.MustBind(t, func() (*oldServer, error) { return listenOld(survey, pubsub, oldOptions) })
	t.Cleanup(server.Close)
	return server
}

// join starts one of our clients, with a subscription.
func join(t *testing.T, survey, pubsub, service string) (*gopherdiscovery.DiscoveryClient, <-chan []string) {
	t.Helper()
	client, err := quiet.ClientWithSub(context.Background(), survey, pubsub, service)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	peers, err := client.Peers()
	if err != nil {
		t.Fatal(err)
	}
	return client, peers
}

// announce starts one of our clients, without a subscription.
func announce(t *testing.T, survey, service string) *gopherdiscovery.DiscoveryClient {
	t.Helper()
	client, err := quiet.Client(context.Background(), survey, service)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// subscribe starts one of our subscribers.
func subscribe(t *testing.T, pubsub string) <-chan []string {
	t.Helper()
	sub, err := quiet.NewSubscriber(context.Background(), pubsub)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sub.Close() })
	return sub.Changes()
}

func announceOld(t *testing.T, survey, service string) *oldClient {
	t.Helper()
	client, err := dialOldClient(survey, service)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// subscribeOld returns the lists of an old subscriber, which delivers each list
// that it is sent.
func subscribeOld(t *testing.T, pubsub string) <-chan []string {
	t.Helper()
	sub, err := dialOldSubscriber(pubsub)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sub.Close)
	return sub.changes
}

// await reads lists until the wanted one comes, and returns those that came
// before it.
func await(t *testing.T, lists <-chan []string, want ...string) (before [][]string) {
	t.Helper()
	return awaitMatch(t, lists, want, slices.Equal)
}

// awaitSame is like await, for a list in any order.
func awaitSame(t *testing.T, lists <-chan []string, want ...string) {
	t.Helper()
	awaitMatch(t, lists, want, func(list, want []string) bool {
		return slices.Equal(slices.Sorted(slices.Values(list)), want)
	})
}

func awaitMatch(t *testing.T, lists <-chan []string, want []string, match func(list, want []string) bool) (before [][]string) {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case list, open := <-lists:
			if !open {
				t.Fatalf("the channel was closed, want %q", want)
			}
			if match(list, want) {
				return before
			}
			before = append(before, list)
		case <-timeout:
			t.Fatalf("got lists %q, want %q", before, want)
		}
	}
}

// awaitNext is like await, but the very next list must be the wanted one.
func awaitNext(t *testing.T, lists <-chan []string, want ...string) {
	t.Helper()
	if before := await(t, lists, want...); len(before) > 0 {
		t.Errorf("got lists %q before %q, want none", before, want)
	}
}
