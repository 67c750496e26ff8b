package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/cli"
	"github.com/dahernan/gopherdiscovery/internal/names"
)

const aboutList = `List prints the names of the peers, one a line, and ends: with 0 when it has
printed a list, 1 when no server has sent a complete one in time, and 2 when the
flags are wrong. A list is complete when the server has run for its
-return-time, 5 seconds by default: list waits for that. Several URLs, separated
by commas, are servers whose lists are taken together.`

func listCommand() *ffcli.Command {
	flags := cli.NewFlags("list", aboutList)
	pubsub := flags.PubSub()
	inJSON := flags.Bool("json", false, "print the list as a JSON array")
	match := matchFlag(flags)
	timeout := flags.Duration("timeout", 10*time.Second, "the longest `time` to wait for each server's list")
	return command(flags, "[flags]", "print the list, and end", func(ctx context.Context, args []string) error {
		if err := noArguments(args); err != nil {
			return err
		}
		if *timeout <= 0 {
			return cli.Usagef("-timeout %v is not above 0", *timeout)
		}
		dialer, err := flags.Dialer()
		if err != nil {
			return err
		}
		return printList(ctx, dialer, *pubsub, *match, *timeout, printer{output{ctx, os.Stdout}, *inJSON})
	})
}

// matchFlag adds the flag -match.
func matchFlag(flags *cli.Flags) *names.Pattern {
	match := new(names.Pattern)
	flags.TextVar(match, "match", match, "only names that match this `pattern`, in which * stands for any characters: cache+* for the kind cache")
	return match
}

// printList prints what look returns.
func printList(ctx context.Context, dialer *gopherdiscovery.Dialer, urls string, match names.Pattern, timeout time.Duration, print printer) error {
	list, err := look(ctx, dialer, urls, match, timeout)
	if err != nil {
		return err
	}
	return print.list(list)
}

// look returns what all servers together list, or those that have sent a
// complete list before the timeout, as far as it matches. One subscriber for
// all of them would deliver the list of the first before it has heard the
// others.
func look(ctx context.Context, dialer *gopherdiscovery.Dialer, urls string, match names.Pattern, timeout time.Duration) ([]string, error) {
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
		return nil, errInterrupted
	case heard == 0:
		return nil, fmt.Errorf("-pubsub %s: no complete list within %v%s", urls, timeout, causes(subs))
	case heard < len(subs):
		dialer.Logger.Warn("some may be missing, not all servers have sent a complete list", "servers", len(subs), "heard", heard)
	}
	slices.Sort(all)
	return match.Filter(slices.Compact(all)), nil
}

// causes returns why there is no connection to some of the servers.
func causes(subs []*gopherdiscovery.Subscriber) string {
	var all strings.Builder
	for _, sub := range subs {
		if s := sub.Servers()[0]; !s.Connected && s.LastError != nil {
			fmt.Fprintf(&all, "; %v", s.LastError)
		}
	}
	return all.String()
}

// awaitComplete reports whether the server of a subscriber has said, before the
// end of ctx, that its list is complete. That is not announced: the list may be
// the same as before.
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
