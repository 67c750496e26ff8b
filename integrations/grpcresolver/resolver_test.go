package grpcresolver_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/integrations/grpcresolver"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/resolver"
)

var quiet = &gopherdiscovery.Dialer{Logger: slog.New(slog.DiscardHandler)}

// clientConn takes what a resolver reports, and complains as round_robin does.
type clientConn struct {
	resolver.ClientConn
	states chan []string
}

func (c *clientConn) UpdateState(s resolver.State) error {
	addresses := []string{}
	for _, a := range s.Addresses {
		addresses = append(addresses, a.Addr)
	}
	c.states <- addresses
	if len(addresses) == 0 {
		return balancer.ErrBadResolverState
	}
	return nil
}

func (c *clientConn) ReportError(err error) { panic(err) } // nothing is an error

// await returns when the state is this one.
func (c *clientConn) await(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for deadline := time.After(testmain.Patience); got == nil || !slices.Equal(got, want); {
		select {
		case got = <-c.states:
		case <-deadline:
			t.Fatalf("the addresses are %v, want %v", got, want)
		}
	}
}

func startServer(t *testing.T) (urlServer, urlPubSub string) {
	t.Helper()
	server, err := gopherdiscovery.Server("tcp://127.0.0.1:0", "tcp://127.0.0.1:0", gopherdiscovery.Options{
		PollTime: 50 * time.Millisecond,
		Logger:   quiet.Logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server.URLs()
}

func join(t *testing.T, urlServer, name string) *gopherdiscovery.DiscoveryClient {
	t.Helper()
	client, err := quiet.Client(context.Background(), urlServer, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func build(t *testing.T, b resolver.Builder, target string) (*clientConn, resolver.Resolver, error) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	cc := &clientConn{states: make(chan []string)}
	r, err := b.Build(resolver.Target{URL: *u}, cc, resolver.BuildOptions{})
	return cc, r, err
}

func TestNamesBecomeAddresses(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"10.0.0.2:50051":                   "10.0.0.2:50051",
		"a.example:50051":                  "a.example:50051",
		"[2001:db8::2]:50051":              "[2001:db8::2]:50051",
		"[fe80::1%eth0]:50051":             "[fe80::1%eth0]:50051",
		"grpc://10.0.0.2:50051":            "10.0.0.2:50051",
		"grpc://[fe80::1%25eth0]:50051":    "[fe80::1%eth0]:50051",
		"http://10.0.0.2":                  "10.0.0.2:80",
		"greeter+10.0.0.2:50051":           "10.0.0.2:50051",
		"greeter+grpc://10.0.0.2:50051":    "10.0.0.2:50051",
		"web+https://a.example":            "a.example:443",
		"a greeter+10.0.0.2:50051":         "",
		"https://a.example/path":           "a.example:443",
		"grpc://10.0.0.2":                  "",
		"10.0.0.2":                         "",
		"2001:db8::2":                      "",
		":50051":                           "",
		"grpc://:50051":                    "",
		"10.0.0.2:0":                       "",
		"10.0.0.2:65536":                   "",
		"10.0.0.2:grpc":                    "",
		"10.0.0.2:":                        "",
		"a name":                           "",
		"a name:50051":                     "",
		"10.0.0.2/path:50051":              "",
		"mailto:50051":                     "mailto:50051",
		"grpc://10.0.0.2:50051:50051":      "",
		"unix:///run/greeter.sock":         "",
		"grpc://user:secret@10.0.0.2:5005": "10.0.0.2:5005",
	} {
		got, ok := grpcresolver.ParseName(name)
		if got != want || ok != (want != "") {
			t.Errorf("the address of %q is %q, %t, want %q", name, got, ok, want)
		}
	}
}

func TestEachListIsReported(t *testing.T) {
	t.Parallel()
	urlServer, urlPubSub := startServer(t)
	var log bytes.Buffer
	dialer := &gopherdiscovery.Dialer{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	cc, r, err := build(t, grpcresolver.NewBuilder(dialer, urlPubSub), "discovery:///greeter.example")
	if err != nil {
		t.Fatal(err)
	}
	cc.await(t)
	a := join(t, urlServer, "10.0.0.1:50051")
	cc.await(t, "10.0.0.1:50051")
	join(t, urlServer, "10.0.0.2:50051")
	join(t, urlServer, "grpc://10.0.0.2:50051")
	join(t, urlServer, "no address")
	awaitNames(t, urlPubSub, 4)
	r.ResolveNow(resolver.ResolveNowOptions{})
	cc.await(t, "10.0.0.1:50051", "10.0.0.2:50051")
	_ = a.Close()
	cc.await(t, "10.0.0.2:50051")

	go func() {
		for range cc.states {
		}
	}()
	r.Close()
	close(cc.states)
	if n := strings.Count(log.String(), "no address"); n != 1 {
		t.Errorf("the log has %d lines about the name without an address, want 1:\n%s", n, &log)
	}
}

// Of a list of several kinds a client gets its own, and other names are no
// reason for a line in the log.
func TestMatch(t *testing.T) {
	t.Parallel()
	urlServer, urlPubSub := startServer(t)
	for _, name := range []string{"greeter+10.0.0.1:1", "web+http://10.0.0.1:2", "greeter+grpc://10.0.0.2:1", "no address"} {
		join(t, urlServer, name)
	}
	awaitNames(t, urlPubSub, 4)
	var log bytes.Buffer
	builder := grpcresolver.NewBuilder(&gopherdiscovery.Dialer{Logger: slog.New(slog.NewTextHandler(&log, nil))}, urlPubSub)
	cc, r, err := build(t, builder, "discovery:///greeter.example?match=greeter+*")
	if err != nil {
		t.Fatal(err)
	}
	cc.await(t, "10.0.0.1:1", "10.0.0.2:1")
	r.Close()
	if log.Len() > 0 {
		t.Errorf("the log is not empty:\n%s", &log)
	}
}

// awaitNames returns when a list has n names.
func awaitNames(t *testing.T, urlPubSub string, n int) {
	t.Helper()
	sub, err := quiet.NewSubscriber(t.Context(), urlPubSub)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	for list := range sub.Changes() {
		if len(list) == n {
			return
		}
	}
	t.Fatalf("no list with %d names", n)
}

// slowConn takes its time for the first state.
type slowConn struct {
	resolver.ClientConn
	entered chan struct{}
	left    bool
}

func (c *slowConn) UpdateState(resolver.State) error {
	close(c.entered)
	time.Sleep(20 * time.Millisecond)
	c.left = true
	return nil
}

func TestCloseWaits(t *testing.T) {
	t.Parallel()
	_, urlPubSub := startServer(t)
	cc := &slowConn{entered: make(chan struct{})}
	target := resolver.Target{URL: url.URL{Scheme: grpcresolver.Scheme, Path: "/greeter.example"}}
	r, err := grpcresolver.NewBuilder(quiet, urlPubSub).Build(target, cc, resolver.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	<-cc.entered
	r.Close()
	if !cc.left {
		t.Error("Close has returned before the report that was under way")
	}
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ url, target, want string }{
		{"nonsense", "discovery:///a", `"nonsense"`},
		{"tcp://127.0.0.1:65536", "discovery:///a", "65536"},
		{"tcp://127.0.0.1:1", "discovery:///", `"discovery:///"`},
		{"tcp://127.0.0.1:1", "discovery:///a?match=b|c", `match in the target "discovery:///a?match=b|c"`},
		{"tcp://127.0.0.1:1", "discovery://127.0.0.1:1/a", `"discovery://127.0.0.1:1/a"`},
	} {
		_, _, err := build(t, grpcresolver.NewBuilder(nil, test.url), test.target)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s at %s: error %v, want one with %s", test.target, test.url, err, test.want)
		}
	}
}
