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
	// A child finds its role in this variable: serverRole and a number, or the name of a peer.
	roleVariable = "GOPHERDISCOVERY_CLUSTER_ROLE"
	serverRole   = "server-"

	pollTime = 500 * time.Millisecond
)

// report is a line that a child prints for its parent. The first one, its hello, tells when the child made its server or client.
type report struct {
	At     time.Time // all processes share the clock of the machine
	Server string    `json:",omitempty"` // where the server surveys, in its hello
	PubSub string    `json:",omitempty"` // where it publishes
	Peers  []string  `json:",omitempty"` // the list that a peer has received
}

// server finds out which peers are alive and publishes the list of them.
func server(ctx context.Context, urlServer, urlPubSub string) error {
	start := time.Now()
	s, err := gopherdiscovery.ServerContext(ctx, urlServer, urlPubSub, gopherdiscovery.Options{PollTime: pollTime})
	if err != nil {
		return err
	}
	defer s.Close()
	urlServer, urlPubSub = s.URLs() // with the ports that the system chose
	tell(report{At: start, Server: urlServer, PubSub: urlPubSub})
	s.Wait() // ends with ctx
	return nil
}

// peer announces its name, and receives the list of all who are alive, itself among them.
func peer(ctx context.Context, urlServer, urlPubSub, name string) error {
	start := time.Now()
	client, err := new(gopherdiscovery.Dialer).ClientWithSub(ctx, urlServer, urlPubSub, name)
	if err != nil {
		return err
	}
	defer client.Close()
	lists, err := client.Peers()
	if err != nil {
		return err
	}
	tell(report{At: start})
	for list := range lists { // ends with ctx
		tell(report{At: time.Now(), Peers: list})
	}
	return nil
}

// tell has no error to return: a parent that is gone is noticed by untilStdinEnds.
func tell(r report) { _ = json.NewEncoder(os.Stdout).Encode(r) }

// untilStdinEnds returns the context of a child. Nothing is ever written to its stdin, a pipe: it ends when the parent
// closes it, and also when the parent is gone, however it went.
func untilStdinEnds() context.Context {
	// Ctrl-C in a terminal reaches the children too. It is for the parent, which ends them.
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	return ctx
}
