package grpcresolver_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/integrations/grpcresolver"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// A server announces its address, and a client shares its calls out among those
// that are there.
func Example() {
	discovery, err := gopherdiscovery.Server("tcp://127.0.0.1:0", "tcp://127.0.0.1:0", gopherdiscovery.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer discovery.Close()
	urlServer, urlPubSub := discovery.URLs()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	go server.Serve(listener)
	announced, err := gopherdiscovery.Client(urlServer, listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}

	conn, err := grpc.NewClient("discovery:///health.example",
		grpc.WithResolvers(grpcresolver.NewBuilder(nil, urlPubSub)),
		grpc.WithNoProxy(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin": {}}]}`))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.GetStatus())

	// The server leaves without a failed call.
	announced.Close()
	time.Sleep(100 * time.Millisecond) // until all clients know
	server.GracefulStop()
	// Output: SERVING
}
