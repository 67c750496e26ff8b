// Watch prints who joins and who leaves, as it happens. From the root of the repository:
//
//	go run ./examples/watch -pubsub tcp://127.0.0.1:50007
//
// With -once it prints who is there, and ends: for scripts. How things look is in print.go.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/examples/internal/cli"
)

const about = `Watch prints who joins and who leaves, as it happens, until SIGTERM or Ctrl-C. Several URLs, separated by commas, are
servers whose lists are taken together.

With -once it prints who is there and ends: with 0 when it has printed a list, 1 when no server has sent a complete one in
time, and 2 when the flags are wrong. A server that has just started first surveys everyone.`

func main() { cli.Main("watch", run) }

func run(ctx context.Context, args []string) error {
	flags := cli.NewFlags("watch", about)
	pubsub := flags.PubSub()
	inJSON := flags.Bool("json", false, "print JSON, one value a line")
	once := flags.Bool("once", false, "print the list and end")
	timeout := flags.Duration("timeout", 5*time.Second, "with -once: the longest `time` to wait for each server's list")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *timeout <= 0 {
		return cli.Usagef("-timeout %v is not above 0", *timeout)
	}
	dialer, err := flags.Dialer()
	if err != nil {
		return err
	}
	print := printer{os.Stdout, *inJSON}
	if !*once {
		return watch(ctx, dialer, *pubsub, print)
	}
	list, err := look(ctx, dialer, *pubsub, *timeout)
	if err != nil {
		return err
	}
	return print.list(list)
}

// watch returns when ctx ends.
func watch(ctx context.Context, dialer *gopherdiscovery.Dialer, urls string, print printer) error {
	sub, err := dialer.NewSubscriber(ctx, urls)
	if err != nil {
		return err
	}
	defer sub.Close()
	var before []string
	for list := range sub.Changes() {
		if err := print.change(time.Now(), before, list); err != nil {
			return err
		}
		before = list
	}
	return nil
}

// look returns what all servers together list, or those that have sent a complete list before the timeout. One subscriber
// for all of them would deliver the list of the first before it has heard the others.
func look(ctx context.Context, dialer *gopherdiscovery.Dialer, urls string, timeout time.Duration) ([]string, error) {
	timed, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var subs []*gopherdiscovery.Subscriber
	for url := range strings.SplitSeq(urls, ",") {
		sub, err := dialer.NewSubscriber(ctx, url) // which is asked when the time is up, too
		if err != nil {
			return nil, err
		}
		defer sub.Close()
		subs = append(subs, sub)
	}
	all, heard := []string{}, 0
	for _, sub := range subs {
		if awaitComplete(timed, sub) {
			all = append(all, sub.List()...)
			heard++
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil, errors.New("interrupted")
	case heard == 0:
		return nil, fmt.Errorf("-pubsub %s: no complete list within %v", urls, timeout)
	case heard < len(subs):
		dialer.Logger.Warn("watch: some may be missing, not all servers have sent a complete list", "servers", len(subs), "heard", heard)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// awaitComplete reports whether the server of a subscriber has said, before the end of ctx, that its list is complete. That is
// not announced: the list may be the same as before.
func awaitComplete(ctx context.Context, sub *gopherdiscovery.Subscriber) bool {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !sub.Servers()[0].Complete {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}
