// Cluster shows gopherdiscovery at work. It starts a server and some peers, each as a process of its own, lets one more
// peer join, kills one and ends one, and prints what a peer sees of that and how soon. From the root of the repository:
//
//	go run ./examples/cluster
//
// How a program uses the library is in roles.go; scene.go starts the processes and listens to them.
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

var (
	peers     = flag.Int("peers", 3, "how many peers to begin with, from 2 to 100")
	urlServer = flag.String("server", "tcp://127.0.0.1:0", "`URL` on which the server surveys")
	urlPubSub = flag.String("pubsub", "tcp://127.0.0.1:0", "`URL` on which the server publishes")
	timeout   = flag.Duration("timeout", 30*time.Second, "give up after this time")
)

var errUsage = errors.New("bad arguments")

func main() {
	flag.Parse()
	var err error
	switch role := os.Getenv(roleVariable); role {
	case "":
		err = cluster()
	case serverRole:
		err = server(untilStdinEnds(), *urlServer, *urlPubSub)
	default:
		err = peer(untilStdinEnds(), *urlServer, *urlPubSub, role)
	}
	if err != nil {
		fail(err)
	}
}

func cluster() error {
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("%w: unexpected %q", errUsage, flag.Arg(0))
	case *peers < 2 || *peers > 100:
		return fmt.Errorf("%w: -peers %d is not from 2 to 100", errUsage, *peers)
	case *timeout <= 0:
		return fmt.Errorf("%w: -timeout %v is not above 0", errUsage, *timeout)
	case strings.HasPrefix(*urlServer, "inproc:") || strings.HasPrefix(*urlPubSub, "inproc:"):
		return fmt.Errorf("%w: an inproc URL does not reach other processes", errUsage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()

	err := play(ctx)
	switch {
	case err == nil:
		fmt.Println("\nThe other peers and the server have been ended: no process is left.")
		return nil
	case ctx.Err() == context.DeadlineExceeded:
		return fmt.Errorf("gave up after %v: %v", *timeout, err)
	case ctx.Err() != nil:
		return errors.New("interrupted")
	}
	return err
}

// play returns when all the processes it has started are gone.
func play(ctx context.Context) (err error) {
	s := new(scene)
	defer func() {
		if endErr := s.end(); err == nil {
			err = endErr
		}
	}()
	// Only s.end ends the server, after the peers: one that loses its server logs a warning.
	server, err := s.start(context.WithoutCancel(ctx), serverRole, *urlServer, *urlPubSub)
	if err != nil {
		return err
	}
	fmt.Printf("A server surveys on %s and publishes on %s.\n", server.Server, server.PubSub)
	fmt.Println("Below is each list that peer-1 receives, and the time since what caused it.")

	join := func(n int) (report, error) {
		return s.start(ctx, fmt.Sprintf("peer-%d", n), server.Server, server.PubSub)
	}

	fmt.Printf("\n%d peers join. A new server waits one PollTime, here %v, before its first list: after a restart\n", *peers, pollTime)
	fmt.Println("it would else seem that everyone had left who is still on the way back.")
	for n := range *peers {
		if _, err := join(n + 1); err != nil {
			return err
		}
	}
	if err := s.await(server.At); err != nil {
		return err
	}

	fmt.Printf("\npeer-%d joins: a new process makes its client.\n", *peers+1)
	newcomer, err := join(*peers + 1)
	if err != nil {
		return err
	}
	if err := s.await(newcomer.At); err != nil {
		return err
	}

	fmt.Println("\npeer-2 is killed with SIGKILL: the end of its connection gives it away.")
	killed := time.Now()
	if err := s.take("peer-2").kill(); err != nil {
		return err
	}
	if err := s.await(killed); err != nil {
		return err
	}

	fmt.Println("\npeer-3 leaves: it closes its client and exits.")
	left := time.Now()
	if err := s.take("peer-3").leave(); err != nil {
		return err
	}
	return s.await(left)
}

// fail ends the program with 2 if its arguments are wrong, else with 1.
func fail(err error) {
	var child *exec.ExitError
	if errors.As(err, &child) && child.ExitCode() > 0 {
		os.Exit(child.ExitCode()) // the child has said why, on the stderr that it shares with us
	}
	fmt.Fprintln(os.Stderr, "cluster:", err)
	if errors.Is(err, errUsage) || errors.Is(err, gopherdiscovery.ErrInvalidURL) {
		os.Exit(2)
	}
	os.Exit(1)
}
