// Cluster shows gopherdiscovery at work. It starts a server and some peers, each as a process of its own, lets one peer
// join, kills one and stops one, and prints what the others see of it and how fast. From the root of the repository:
//
//	go run ./examples/cluster
//
// How a program uses the library is in roles.go. The rest is the stage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

const (
	minPeers = 2 // peer-1 looks on while peer-2 is killed
	maxPeers = 100

	anyPort = "tcp://127.0.0.1:0"
)

var (
	peers     = flag.Int("peers", 3, fmt.Sprintf("number of peers to begin with, from %d to %d", minPeers, maxPeers))
	urlServer = flag.String("server", anyPort, "`URL` where the server surveys its clients")
	urlPubSub = flag.String("pubsub", anyPort, "`URL` where the server publishes the list")
	timeout   = flag.Duration("timeout", 15*time.Second, "fail if a change is not seen within this time")
)

func main() {
	flag.Parse()
	switch role := os.Getenv(roleVariable); role {
	case "":
		cluster()
	case serverRole:
		exit(server(untilStdinEnds(), *urlServer, *urlPubSub))
	default:
		exit(peer(untilStdinEnds(), *urlServer, *urlPubSub, role))
	}
}

func cluster() {
	switch {
	case flag.NArg() > 0:
		refuse("unexpected argument %q", flag.Arg(0))
	case *peers < minPeers || *peers > maxPeers:
		refuse("-peers %d is not from %d to %d", *peers, minPeers, maxPeers)
	case *timeout <= 0:
		refuse("-timeout %v is not above zero", *timeout)
	}
	for _, url := range []string{*urlServer, *urlPubSub} {
		if strings.HasPrefix(url, "inproc:") {
			refuse("%s does not reach another process", url)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := play(ctx)
	if err != nil && ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	exit(err)
}

// play runs the whole scene. No child is left when it returns.
func play(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	s := newStage()
	defer s.children.Wait()
	defer cancel()

	server, err := s.start(ctx, serverRole, *urlServer, *urlPubSub)
	if err != nil {
		return err
	}
	join := func(n int) (time.Time, error) {
		p, err := s.start(ctx, fmt.Sprintf("peer-%d", n), server.hello.Server, server.hello.PubSub)
		if err != nil {
			return time.Time{}, err
		}
		return p.hello.At, nil
	}
	fmt.Printf("A server surveys on %s and publishes on %s.\n", server.hello.Server, server.hello.PubSub)
	fmt.Printf("Below is each list that %s receives, and how long after the event it came.\n", observer)

	fmt.Printf("\n%d peers join. The first list comes one PollTime, here %v, after the server's start:\n", *peers, pollTime)
	fmt.Printf("a restarted server gives everyone the time to come back.\n")
	for n := range *peers {
		if _, err := join(n + 1); err != nil {
			return err
		}
	}
	if err := s.await(ctx, server.hello.At); err != nil {
		return err
	}

	fmt.Printf("\npeer-%d joins: a new process makes its client.\n", *peers+1)
	joined, err := join(*peers + 1)
	if err != nil {
		return err
	}
	if err := s.await(ctx, joined); err != nil {
		return err
	}

	fmt.Printf("\npeer-2 is killed with SIGKILL: it cannot say goodbye.\n")
	killed := time.Now()
	if err := s.leave("peer-2").cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill peer-2: %w", err)
	}
	if err := s.await(ctx, killed); err != nil {
		return err
	}

	fmt.Printf("\npeer-3 leaves: it closes its client and exits.\n")
	stopped := time.Now()
	s.leave("peer-3").stop()
	if err := s.await(ctx, stopped); err != nil {
		return err
	}

	if err := s.clear(ctx); err != nil {
		return err
	}
	fmt.Printf("\nThe other peers and the server have been stopped. No process is left.\n")
	return nil
}

// refuse ends the program because of its arguments.
func refuse(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "cluster: "+format+"\n", args...)
	os.Exit(2)
}

func exit(err error) {
	var child *exec.ExitError
	switch {
	case err == nil:
		os.Exit(0)
	case errors.As(err, &child) && child.ExitCode() > 0:
		os.Exit(child.ExitCode()) // the child has said why, on the stderr that it shares with us
	case errors.Is(err, gopherdiscovery.ErrInvalidURL):
		refuse("%v", err)
	}
	fmt.Fprintln(os.Stderr, "cluster:", err)
	os.Exit(1)
}
