package grpcresolver_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/integrations/grpcresolver"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

const roundRobin = `{"loadBalancingConfig": [{"round_robin": {}}]}`

// backend is a server of grpc-go in the list.
type backend struct {
	address   string
	server    *grpc.Server
	announced *gopherdiscovery.DiscoveryClient
	served    chan error
}

func startBackend(t *testing.T, urlServer string) *backend {
	t.Helper()
	return startBackendOn(t, urlServer, "127.0.0.1")
}

func startBackendOn(t *testing.T, urlServer, host string) *backend {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{address: listener.Addr().String(), server: grpc.NewServer(), served: make(chan error, 1)}
	grpc_health_v1.RegisterHealthServer(b.server, health.NewServer())
	go func() { b.served <- b.server.Serve(listener) }()
	b.announced = join(t, urlServer, b.address)
	t.Cleanup(b.server.Stop)
	return b
}

// leave is how a server leaves without a failed call. The test waits until
// a listener knows, instead of for a moment.
func (b *backend) leave(t *testing.T, awaitLeave func()) {
	t.Helper()
	_ = b.announced.Close()
	awaitLeave()
	b.server.GracefulStop()
	if err := <-b.served; err != nil {
		t.Errorf("serve: %v", err)
	}
}

func newClient(t *testing.T, urlPubSub string) grpc_health_v1.HealthClient {
	t.Helper()
	// The match chooses all. It is there to be parsed by grpc-go.
	conn, err := grpc.NewClient("discovery:///greeter.example?match=*:*",
		grpc.WithResolvers(grpcresolver.NewBuilder(quiet, urlPubSub)),
		grpc.WithNoProxy(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(roundRobin))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return grpc_health_v1.NewHealthClient(conn)
}

// call returns the address of the server that has answered.
func call(ctx context.Context, client grpc_health_v1.HealthClient, opts ...grpc.CallOption) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, testmain.Patience)
	defer cancel()
	var from peer.Peer
	_, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}, append(opts, grpc.Peer(&from))...)
	if err != nil {
		return "", err
	}
	return from.Addr.String(), nil
}

// awaitCalls makes calls until each of these servers, and no other, has
// answered one of the last ten.
func awaitCalls(t *testing.T, client grpc_health_v1.HealthClient, want ...string) {
	t.Helper()
	var last []string
	for deadline := time.Now().Add(testmain.Patience); time.Now().Before(deadline); {
		address, err := call(t.Context(), client)
		if err != nil {
			t.Fatalf("error %v, want none", err)
		}
		last = append(last, address)
		if len(last) > 10 {
			last = last[1:]
		}
		seen := make(map[string]bool)
		for _, address := range last {
			seen[address] = true
		}
		all := len(last) == 10 && len(seen) == len(want)
		for _, address := range want {
			all = all && seen[address]
		}
		if all {
			return
		}
	}
	t.Fatalf("the last calls were answered by %v, want %v", last, want)
}

func TestCallsWaitForTheFirstList(t *testing.T) {
	t.Parallel()
	client := newClient(t, "tcp://127.0.0.1:1") // nothing listens there
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := call(ctx, client)
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("error %v, want DeadlineExceeded", err)
	}
}

func TestBadURLFailsCalls(t *testing.T) {
	t.Parallel()
	_, err := call(t.Context(), newClient(t, "nonsense"))
	if status.Code(err) != codes.Unavailable {
		t.Errorf("error %v, want Unavailable", err)
	}
}

func TestNobodyIsThere(t *testing.T) {
	t.Parallel()
	urlServer, urlPubSub := startServer(t)
	client := newClient(t, urlPubSub)
	if _, err := call(t.Context(), client); status.Code(err) != codes.Unavailable {
		t.Errorf("with an empty list: error %v, want Unavailable", err)
	}
	answered := make(chan error)
	go func() {
		_, err := call(t.Context(), client, grpc.WaitForReady(true))
		answered <- err
	}()
	b := startBackend(t, urlServer)
	if err := <-answered; err != nil {
		t.Errorf("a call that waits for a server: error %v, want none", err)
	}
	_ = b.announced.Close()
	for deadline := time.Now().Add(testmain.Patience); ; {
		if _, err := call(t.Context(), client); err != nil {
			if status.Code(err) != codes.Unavailable {
				t.Errorf("when the last one has left: error %v, want Unavailable", err)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("calls are still answered by the one that has left the list")
		}
	}
}

// The environment has a proxy, which is for other addresses.
func TestCallsUseNoProxy(t *testing.T) {
	t.Parallel()
	urlServer, urlPubSub := startServer(t)
	b := startBackendOn(t, urlServer, otherHost(t))
	address, err := call(t.Context(), newClient(t, urlPubSub), grpc.WaitForReady(true))
	if err != nil || address != b.address {
		t.Errorf("answered by %q, error %v, want %s", address, err, b.address)
	}
}

// otherHost returns an address of this machine that is no loopback address, for
// which net/http would never use a proxy.
func otherHost(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range addresses {
		if n, ok := address.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	t.Skip("this machine has loopback addresses only")
	return ""
}

// Servers come and go under load, one by one until each has been replaced, and
// no call fails.
func TestNoCallFailsWhenServersComeAndGo(t *testing.T) {
	t.Parallel()
	urlServer, urlPubSub := startServer(t)
	client := newClient(t, urlPubSub)
	backends := []*backend{startBackend(t, urlServer), startBackend(t, urlServer), startBackend(t, urlServer)}
	addresses := func() (all []string) {
		for _, b := range backends {
			all = append(all, b.address)
		}
		return all
	}
	// The server's first list may be empty, and calls fail until the next one.
	if _, err := call(t.Context(), client, grpc.WaitForReady(true)); err != nil {
		t.Fatalf("the first call: error %v, want none", err)
	}
	awaitCalls(t, client, addresses()...)

	ctx, stop := context.WithCancel(t.Context())
	var calling sync.WaitGroup
	var calls atomic.Int64
	for range 4 {
		calling.Go(func() {
			for ctx.Err() == nil {
				if _, err := call(t.Context(), client); err != nil {
					t.Errorf("call %d: error %v, want none", calls.Load(), err)
					return
				}
				calls.Add(1)
			}
		})
	}
	for range 3 {
		gone := backends[0]
		backends = append(backends[1:], startBackend(t, urlServer))
		awaitCalls(t, client, append(addresses(), gone.address)...)
		gone.leave(t, func() { awaitCalls(t, client, addresses()...) })
	}
	stop()
	calling.Wait()
	t.Logf("%d calls", calls.Load())
}
