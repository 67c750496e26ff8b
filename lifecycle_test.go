package gopherdiscovery_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// ender is what a server, a client and a subscriber have in common.
type ender interface {
	Wait()
	Close() error
}

func TestCloseManyTimesAndConcurrently(t *testing.T) {
	server := startServer(t, quickOptions)
	client, peers := join(t, server, "client1")
	sub := subscribe(t, server)
	await(t, peers, "client1")
	var all sync.WaitGroup
	for _, e := range []ender{client, sub, server} {
		for range 10 {
			all.Go(func() {
				if err := e.Close(); err != nil {
					t.Errorf("Close: got %v, want nil", err)
				}
			})
			all.Go(e.Wait)
		}
	}
	for range 10 {
		all.Go(client.Cancel)
		all.Go(server.Cancel)
	}
	all.Wait()
	awaitClosed(t, peers)
	awaitClosed(t, sub.Changes())
	client.Cancel()
	server.Cancel()
}

func TestChannelsAreClosedAfterWait(t *testing.T) {
	for range 50 {
		client, err := quiet.ClientWithSub(context.Background(), "inproc://nobody", "inproc://nowhere", "client1")
		if err != nil {
			t.Fatal(err)
		}
		client.Close()
		peers, _ := client.Peers()
		select {
		case <-peers:
		default:
			t.Fatal("the channel is open after Close")
		}
	}
}

// Wait keeps its word: the addresses can be bound, and a server started there works.
func TestAddressesAreFreeAfterWait(t *testing.T) {
	server := startServer(t, quickOptions)
	survey, pubsub := server.URLs()
	client, peers := join(t, server, "client1")
	await(t, peers, "client1")
	for range 20 {
		server.Cancel()
		server.Wait()
		var err error
		if server, err = gopherdiscovery.Server(survey, pubsub, quickOptions); err != nil {
			t.Fatalf("the addresses were not free: %v", err)
		}
	}
	defer server.Close()
	client.Close()
	_, peers = join(t, server, "client2")
	await(t, peers, "client2")
}

func TestEndOfTheContextEndsAll(t *testing.T) {
	server := startServer(t, quickOptions)
	survey, pubsub := server.URLs()
	ctx, cancel := context.WithCancel(context.Background())
	client, err := quiet.Client(ctx, survey, "client1")
	if err != nil {
		t.Fatal(err)
	}
	withSub, err := quiet.ClientWithSub(ctx, survey, pubsub, "client2")
	if err != nil {
		t.Fatal(err)
	}
	sub, err := quiet.NewSubscriber(ctx, pubsub)
	if err != nil {
		t.Fatal(err)
	}
	await(t, sub.Changes(), "client1", "client2")
	cancel()
	for _, e := range []ender{client, withSub, sub} {
		e.Wait()
	}
	awaitClosed(t, sub.Changes())
}

func TestContextThatHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	sub, err := quiet.NewSubscriber(ctx, reserve(t))
	if err != nil {
		t.Fatal(err)
	}
	sub.Wait()
	client, err := quiet.ClientWithSub(ctx, reserve(t), reserve(t), "client1")
	if err != nil {
		t.Fatal(err)
	}
	client.Wait()
}

// Wait returns in no time also while clients look for a server that is not there, or connect to what never answers.
func TestCloseWhileConnecting(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	for name, url := range map[string]string{"nobody": reserve(t), "mute": "tcp://" + mute.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			logger, book := newLogger()
			d := &gopherdiscovery.Dialer{Logger: logger}
			start := time.Now()
			for range 20 {
				client, err := d.Client(context.Background(), url, "client1")
				if err != nil {
					t.Fatal(err)
				}
				if name == "mute" {
					c, err := mute.Accept()
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close()
				}
				client.Close()
			}
			if name == "mute" && book.String() != "" {
				t.Errorf("clean stops were logged:\n%s", book)
			}
			if took := time.Since(start); took > patience/3 {
				t.Errorf("20 times Close took %v", took)
			}
		})
	}
}

func TestServerClosesWithConnectionsInAnyState(t *testing.T) {
	for range 20 {
		server := startServer(t, quickOptions)
		survey, pubsub := server.URLs()
		for _, url := range []string{survey, pubsub} {
			for range 5 {
				c, err := net.Dial("tcp", strings.TrimPrefix(url, "tcp://"))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
			}
		}
		announce(t, server, "client1")
		server.Close()
	}
}

// Opens and closes servers, clients and subscribers in random order, all at once: this is for the race detector and the leak check.
func TestChurn(t *testing.T) {
	a := newAuthority(t)
	opt, d := tlsPair(t, a, "peer")
	duration := 2 * time.Second
	if testing.Short() {
		duration /= 10
	}
	ctx, cancel := context.WithTimeout(context.Background(), duration)
	defer cancel()
	dir := t.TempDir()
	var all sync.WaitGroup
	for _, urls := range [][2]string{
		{reserve(t), reserve(t)},
		{strings.Replace(reserve(t), "tcp", "tls+tcp", 1), strings.Replace(reserve(t), "tcp", "tls+tcp", 1)},
		{"ipc://" + dir + "/s", "ipc://" + dir + "/p"},
		{"inproc://churn-s", "inproc://churn-p"},
	} {
		pause := func() {
			select {
			case <-time.After(time.Duration(rand.Int64N(int64(3 * time.Millisecond)))):
			case <-ctx.Done():
			}
		}
		all.Go(func() {
			for ctx.Err() == nil {
				server, err := gopherdiscovery.ServerContext(ctx, urls[0], urls[1], opt)
				if err != nil {
					t.Error(err)
					return
				}
				pause()
				pause()
				if rand.IntN(2) == 0 {
					server.Cancel()
				}
				server.Close()
			}
		})
		for range 4 {
			all.Go(func() {
				for ctx.Err() == nil {
					client, err := d.ClientWithSub(ctx, urls[0], urls[1], "client")
					if err != nil {
						t.Error(err)
						return
					}
					pause()
					sub, err := d.NewSubscriber(ctx, urls[1])
					if err != nil {
						t.Error(err)
						return
					}
					pause()
					if rand.IntN(2) == 0 {
						client.Cancel()
					}
					sub.Close()
					client.Close()
				}
			})
		}
	}
	all.Wait()
	if left := leftGoroutines(); left != "" {
		t.Errorf("goroutines left behind:\n%s", left)
	}
}

func TestNoDescriptorIsLeft(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("counts descriptors in /proc")
	}
	before := countDescriptors(t)
	server := startServer(t, quickOptions)
	for i := range 20 {
		client, peers := join(t, server, "client")
		await(t, peers, "client")
		if i%2 == 0 {
			client.Close()
		}
		defer client.Close()
	}
	server.Close()
	// Half of the clients are still looking for their server.
	if server.Stats().Clients != 0 {
		t.Errorf("the closed server counts %d clients", server.Stats().Clients)
	}
	t.Cleanup(func() {
		if after := countDescriptors(t); after > before {
			t.Errorf("%d descriptors before, %d after", before, after)
		}
	})
}

func countDescriptors(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

func TestBadArguments(t *testing.T) {
	var noContext context.Context
	long := strings.Repeat("x", 513)
	good, other := "tcp://127.0.0.1:40007", "tcp://127.0.0.1:40008"
	server := func(survey, pubsub string, opt gopherdiscovery.Options) func() (ender, error) {
		return func() (ender, error) { return gopherdiscovery.Server(survey, pubsub, opt) }
	}
	client := func(survey, service string) func() (ender, error) {
		return func() (ender, error) { return gopherdiscovery.Client(survey, service) }
	}
	withSub := func(survey, pubsub string) func() (ender, error) {
		return func() (ender, error) { return gopherdiscovery.ClientWithSub(survey, pubsub, "name") }
	}
	subscriber := func(url string) func() (ender, error) {
		return func() (ender, error) { return gopherdiscovery.NewSubscriber(context.Background(), url) }
	}
	type test struct {
		call func() (ender, error)
		is   error
		want []string // parts of the message
	}
	tests := []test{
		{server(good, good, gopherdiscovery.Options{}), gopherdiscovery.ErrInvalidURL, []string{"urlPubSub", good, "same"}},
		{server("tcp://*:40007", "tcp://:40007", gopherdiscovery.Options{}), gopherdiscovery.ErrInvalidURL, []string{"same"}},
		{server(good, other, gopherdiscovery.Options{SurveyTime: -1}), gopherdiscovery.ErrInvalidArgument, []string{"Options.SurveyTime", "-1ns"}},
		{server(good, other, gopherdiscovery.Options{RecvDeadline: -time.Second}), gopherdiscovery.ErrInvalidArgument, []string{"Options.RecvDeadline", "-1s"}},
		{server(good, other, gopherdiscovery.Options{PollTime: -time.Hour}), gopherdiscovery.ErrInvalidArgument, []string{"Options.PollTime", "-1h"}},
		{server(good, other, gopherdiscovery.Options{MissedSurveys: -1}), gopherdiscovery.ErrInvalidArgument, []string{"Options.MissedSurveys", "-1"}},
		{withSub(good, good), gopherdiscovery.ErrInvalidURL, []string{"urlPubSub", good, "same"}},
		{client(good, ""), gopherdiscovery.ErrInvalidService, []string{"service", `""`, "empty"}},
		{client(good, long), gopherdiscovery.ErrInvalidService, []string{"service", "xxx", "513"}},
		{client(good, "a|b"), gopherdiscovery.ErrInvalidService, []string{"service", "a|b"}},
		{client(good, "a\nb"), gopherdiscovery.ErrInvalidService, []string{"service", `a\nb`, "control"}},
		{client(good, "\xff"), gopherdiscovery.ErrInvalidService, []string{"service", `\xff`, "UTF-8"}},
		{func() (ender, error) { return gopherdiscovery.NewSubscriber(noContext, good) }, gopherdiscovery.ErrInvalidArgument, []string{"ctx"}},
		{func() (ender, error) { return quiet.Client(noContext, good, "name") }, gopherdiscovery.ErrInvalidArgument, []string{"ctx"}},
		{func() (ender, error) { return gopherdiscovery.ServerContext(noContext, good, other, quickOptions) }, gopherdiscovery.ErrInvalidArgument, []string{"ctx"}},
		{client("tcp://127.0.0.1:0", "name"), gopherdiscovery.ErrInvalidURL, []string{"urlServer", "port"}},
		{subscriber("tcp://*:40007"), gopherdiscovery.ErrInvalidURL, []string{"url", "host"}},
	}
	for _, url := range []string{
		"", "tcp", "tcp:", "tcp://", "tcp:/127.0.0.1:40007", "127.0.0.1:40007", "://", "://127.0.0.1:40007", "tcp://127.0.0.1",
		"tcp://127.0.0.1:", "tcp://127.0.0.1:-1", "tcp://127.0.0.1:65536", "tcp://127.0.0.1:http", "tcp://127.0.0.1:80/", "tcp://::1:80",
		"tcp://a b:80", "tcp://a/b:80", "tcp://u@h:80", "tcp://[::1:80", "udp://127.0.0.1:80", "TCP://127.0.0.1:80", "nosuch://x",
		"gopherdiscovery://tcp://127.0.0.1:80", "ipc://", "inproc://", "ipc:///tmp/" + strings.Repeat("x", 200), "ipc:///a\x00b",
	} {
		tests = append(tests,
			test{server(url, good, quickOptions), gopherdiscovery.ErrInvalidURL, []string{"urlServer"}},
			test{server(good, url, quickOptions), gopherdiscovery.ErrInvalidURL, []string{"urlPubSub"}},
			test{client(url, "name"), gopherdiscovery.ErrInvalidURL, []string{"urlServer"}},
			test{withSub(url, good), gopherdiscovery.ErrInvalidURL, []string{"urlServer"}},
			test{withSub(good, url), gopherdiscovery.ErrInvalidURL, []string{"urlPubSub"}},
			test{subscriber(url), gopherdiscovery.ErrInvalidURL, []string{"url"}})
	}
	for _, test := range tests {
		e, err := test.call()
		if err == nil {
			e.Close()
			t.Errorf("got no error, want one with %q", test.want)
			continue
		}
		if !errors.Is(err, test.is) || !strings.HasPrefix(err.Error(), "gopherdiscovery: ") {
			t.Errorf("got error %q, want one that is %q", err, test.is)
		}
		for _, part := range test.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("got error %q, want it to name %q", err, part)
			}
		}
	}
	if left := leftGoroutines(); left != "" {
		t.Errorf("bad arguments left goroutines:\n%s", left)
	}
}

func TestConstructorsChangeNoStruct(t *testing.T) {
	opt := gopherdiscovery.Options{}
	server := startServer(t, opt)
	if !reflect.DeepEqual(opt, gopherdiscovery.Options{}) {
		t.Errorf("Server changed its options to %+v", opt)
	}
	d := gopherdiscovery.Dialer{}
	_, pubsub := server.URLs()
	sub, err := d.NewSubscriber(context.Background(), pubsub)
	if err != nil {
		t.Fatal(err)
	}
	sub.Close()
	if d != (gopherdiscovery.Dialer{}) {
		t.Errorf("NewSubscriber changed its dialer to %+v", d)
	}
}

func TestDiff(t *testing.T) {
	for _, test := range []struct{ before, after, joined, left string }{
		{"", "", "", ""},
		{"", "a b", "a b", ""},
		{"a b", "", "", "a b"},
		{"a b c", "b c d", "d", "a"},
		{"c b a", "d c b b", "d", "a"},
		{"a a", "a", "", ""},
	} {
		before, after := strings.Fields(test.before), strings.Fields(test.after)
		joined, left := gopherdiscovery.Diff(before, after)
		if strings.Join(joined, " ") != test.joined || strings.Join(left, " ") != test.left {
			t.Errorf("from %q to %q: got joined %q, left %q", test.before, test.after, joined, left)
		}
		if strings.Join(before, " ") != test.before || strings.Join(after, " ") != test.after {
			t.Errorf("Diff changed its arguments to %q and %q", before, after)
		}
	}
}
