package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

const (
	// A child finds its role in this variable: serverRole, or the name of a peer.
	roleVariable = "GOPHERDISCOVERY_CLUSTER_ROLE"
	serverRole   = "server"

	pollTime = 500 * time.Millisecond
)

// report is a line that a child prints for its parent. The first one is its hello.
type report struct {
	At     time.Time // all processes share the machine's clock
	Server string    `json:",omitempty"` // in the hello of the server
	PubSub string    `json:",omitempty"` // in the hello of the server
	Peers  []string  // what a peer has received
}

// server finds out who is alive and publishes it.
func server(ctx context.Context, urlServer, urlPubSub string) error {
	start := time.Now()
	s, err := gopherdiscovery.ServerContext(ctx, urlServer, urlPubSub, gopherdiscovery.Options{PollTime: pollTime})
	if err != nil {
		return err
	}
	urlServer, urlPubSub = s.URLs()
	if err := tell(report{At: start, Server: urlServer, PubSub: urlPubSub}); err != nil {
		return err
	}
	s.Wait() // for the end of ctx
	return nil
}

// peer announces itself under a name, and reads who else is there.
func peer(ctx context.Context, urlServer, urlPubSub, name string) error {
	start := time.Now()
	client, err := new(gopherdiscovery.Dialer).ClientWithSub(ctx, urlServer, urlPubSub, name)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := tell(report{At: start}); err != nil {
		return err
	}
	lists, err := client.Peers()
	if err != nil {
		return err
	}
	for list := range lists { // until the end of ctx
		if err := tell(report{At: time.Now(), Peers: list}); err != nil {
			return err
		}
	}
	return nil
}

func tell(r report) error { return json.NewEncoder(os.Stdout).Encode(r) }

// untilStdinEnds returns the context of a child. Its stdin is a pipe that the parent never writes to: it ends when the
// parent closes it, and also when the parent is gone, however that came about.
func untilStdinEnds() context.Context {
	// Ctrl-C goes to children too. It is for the parent, which then ends them.
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	return ctx
}
