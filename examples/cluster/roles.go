package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

const (
	// roleVariable tells a child its role: serverRole and a number, or the name
	// of a peer.
	roleVariable = "GOPHERDISCOVERY_CLUSTER_ROLE"
	serverRole   = "server-"

	pollTime = 500 * time.Millisecond
)

// report is a line that a child prints for its parent. In its first report, the
// hello, At is the time at which the child created its server or client.
type report struct {
	At time.Time // all processes share the clock of the machine
	// Server is where the server surveys, in its hello.
	Server string   `json:",omitempty"`
	PubSub string   `json:",omitempty"` // where it publishes
	Peers  []string `json:",omitempty"` // the list that a peer has received
	// HearsAll says that a peer has heard from every server. Before that, the
	// peer learns from the others only.
	HearsAll bool `json:",omitempty"`
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

// peer announces its name, and receives the list of all living peers, including
// itself.
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
	r := report{At: start}
	tell(r)
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case list, ok := <-lists:
			if !ok { // ctx has ended
				return nil
			}
			r.At, r.Peers = time.Now(), list
		case <-poll.C:
			if slices.ContainsFunc(client.Servers(), isUnheard) {
				continue
			}
			poll.Stop()
			r.HearsAll = true // with the time of the list
		}
		tell(r)
	}
}

func isUnheard(s gopherdiscovery.ServerState) bool { return s.Heard.IsZero() }

// tell ignores errors: untilStdinEnds notices that the parent is gone.
func tell(r report) { _ = json.NewEncoder(os.Stdout).Encode(r) }

// untilStdinEnds returns the context of a child, which ends with its stdin.
// That is a pipe to which nothing is ever written. It ends when the parent
// closes it or is gone, for whatever reason.
func untilStdinEnds() context.Context {
	// Ctrl-C in a terminal also reaches the children. They leave it to the
	// parent, which ends them.
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	return ctx
}
