// Cluster shows gopherdiscovery at work. It starts a server and some peers,
// each in a process of its own, lets one more peer join, kills one and ends
// one, and prints what a peer sees of this and how soon. From the root of the
// repository:
//
//	go run ./examples/cluster
//
// The file roles.go shows how a program uses the library. The file scene.go
// starts the processes and listens to them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// scenario holds the values of the flags.
type scenario struct {
	peers, servers       int
	urlServer, urlPubSub string // of several servers, separated by commas
	timeout              time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends a program that hangs
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	switch role := os.Getenv(roleVariable); role {
	case "":
		return s.cluster(ctx)
	default:
		if strings.HasPrefix(role, serverRole) {
			return server(untilStdinEnds(), s.urlServer, s.urlPubSub)
		}
		return peer(untilStdinEnds(), s.urlServer, s.urlPubSub, role)
	}
}

func parse(args []string) (s scenario, err error) {
	flags := flag.NewFlagSet("cluster", flag.ExitOnError)
	flags.IntVar(&s.peers, "peers", 3, "how many peers to begin with, from 2 to 100")
	flags.IntVar(&s.servers, "servers", 1, "how many servers, from 1 to 5; one of several is killed")
	flags.StringVar(&s.urlServer, "server", "", "`URL` on which the server surveys; one for each server, separated by commas (default any port)")
	flags.StringVar(&s.urlPubSub, "pubsub", "", "`URL` on which the server publishes; likewise")
	flags.DurationVar(&s.timeout, "timeout", 30*time.Second, "give up after this time")
	_ = flags.Parse(args) // which exits
	switch {
	case flags.NArg() > 0:
		return s, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case s.peers < 2 || s.peers > 100:
		return s, fmt.Errorf("-peers %d is not from 2 to 100", s.peers)
	case s.servers < 1 || s.servers > 5:
		return s, fmt.Errorf("-servers %d is not from 1 to 5", s.servers)
	case s.timeout <= 0:
		return s, fmt.Errorf("-timeout %v is not above 0", s.timeout)
	}
	if os.Getenv(roleVariable) != "" {
		return s, nil // the parent has checked them
	}
	for name, urls := range map[string]*string{"-server": &s.urlServer, "-pubsub": &s.urlPubSub} {
		if *urls == "" {
			*urls = strings.Join(slices.Repeat([]string{"tcp://127.0.0.1:0"}, s.servers), ",")
		}
		if strings.Contains(*urls, "inproc:") {
			return s, fmt.Errorf("%s %s: an inproc URL does not reach other processes", name, *urls)
		}
		if n := len(strings.Split(*urls, ",")); n != s.servers {
			return s, fmt.Errorf("%s %s: names %d, but there are -servers %d", name, *urls, n, s.servers)
		}
	}
	return s, nil
}

func (s scenario) cluster(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()

	err := s.play(ctx)
	var child *exec.ExitError
	switch {
	case err == nil:
		fmt.Println("\nAll others have been ended: no process is left.")
		return nil
	case ctx.Err() == context.DeadlineExceeded:
		return fmt.Errorf("gave up after %v: %v", s.timeout, err)
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case errors.As(err, &child) && child.ExitCode() > 0:
		// The child has already said why, on the stderr that it shares with
		// this process.
		os.Exit(child.ExitCode())
	}
	return err
}

// play runs the scenario. It returns when all the processes that it has started
// are gone.
func (s scenario) play(ctx context.Context) (err error) {
	cast := new(scene)
	defer func() {
		if endErr := cast.end(); err == nil {
			err = endErr
		}
	}()
	start, surveys, lists, err := s.startServers(ctx, cast)
	if err != nil {
		return err
	}
	fmt.Println("Below is each list that peer-1 receives, and the time since its cause.")

	join := func(n int) (report, error) {
		return cast.start(ctx, fmt.Sprintf("peer-%d", n), surveys, lists)
	}

	fmt.Printf("\n%d peers join, and those that come together are one list. The times are since the start of the server.\n", s.peers)
	for n := range s.peers {
		if _, err := join(n + 1); err != nil {
			return err
		}
	}
	if err := cast.await(start); err != nil {
		return err
	}

	fmt.Printf("\npeer-%d joins: a new process creates its client.\n", s.peers+1)
	newcomer, err := join(s.peers + 1)
	if err != nil {
		return err
	}
	if err := cast.await(newcomer.At); err != nil {
		return err
	}

	fmt.Println("\npeer-2 is killed with SIGKILL: the end of its connection gives it away.")
	killed := time.Now()
	if err := cast.take("peer-2").kill(); err != nil {
		return err
	}
	if err := cast.await(killed); err != nil {
		return err
	}

	if s.servers > 1 {
		fmt.Println("\nserver-1 is killed too. No peer leaves the list: the other servers still report each change.")
		if err := cast.take("server-1").kill(); err != nil {
			return err
		}
	}

	fmt.Println("\npeer-3 leaves: it closes its client and exits.")
	left := time.Now()
	if err := cast.take("peer-3").leave(); err != nil {
		return err
	}
	return cast.await(left)
}

// startServers starts the servers. It returns the time of the last start, and
// the URLs of all servers in the form that a peer takes.
func (s scenario) startServers(ctx context.Context, cast *scene) (last time.Time, surveys, lists string, err error) {
	var allSurveys, allLists []string
	urls := strings.Split(s.urlPubSub, ",")
	for i, url := range strings.Split(s.urlServer, ",") {
		// Only cast.end ends the servers, after the peers, because a peer that
		// loses its last server logs a warning.
		hello, err := cast.start(context.WithoutCancel(ctx), fmt.Sprintf("%s%d", serverRole, i+1), url, urls[i])
		if err != nil {
			return last, "", "", err
		}
		fmt.Printf("A server surveys on %s and publishes on %s.\n", hello.Server, hello.PubSub)
		last, allSurveys, allLists = hello.At, append(allSurveys, hello.Server), append(allLists, hello.PubSub)
	}
	return last, strings.Join(allSurveys, ","), strings.Join(allLists, ","), nil
}
