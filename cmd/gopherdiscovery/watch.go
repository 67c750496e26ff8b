package main

import (
	"context"
	"os"
	"slices"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/cmd/gopherdiscovery/internal/render"
	"github.com/dahernan/gopherdiscovery/internal/cli"
	"github.com/dahernan/gopherdiscovery/internal/names"
)

const aboutWatch = `Watch prints each join and each leave, as it happens, until SIGTERM or Ctrl-C.
Several URLs, separated by commas, are servers whose lists are taken together.
With -once it prints the list, as the command list does.

With -template it writes files instead, such as the backends of a proxy, and
with COMMAND it runs that at each change, with the change on standard input as
-json prints it. It does so from complete lists only: a server that has just
started waits for its -return-time. It does one thing at a time, and takes the
newest list when a command has ended.

A template gets hosts and ports only. Names that have none are left out. SRC is
the path of a template in Go's text/template, or the name of one that is part of
this program: `

func watchCommand() *ffcli.Command {
	about := aboutWatch
	for i, name := range render.Shipped() {
		if i > 0 {
			about += ", "
		}
		about += "@" + name
	}
	flags := cli.NewFlags("watch", about+".")
	pubsub := flags.PubSub()
	inJSON := flags.Bool("json", false, "print each change and the list after it as JSON, one object a line")
	w := newWatcher(flags)
	return command(flags, "[flags] [-- COMMAND...]", "print joins and leaves, write files, run commands", func(ctx context.Context, args []string) error {
		if err := w.parse(flags, args); err != nil {
			return err
		}
		dialer, err := flags.Dialer()
		if err != nil {
			return err
		}
		print := printer{output{ctx, os.Stdout}, *inJSON}
		switch {
		case w.acts():
			return w.watch(ctx, flags, dialer, *pubsub)
		case w.once:
			return printList(ctx, dialer, *pubsub, *w.match, w.timeout, print)
		}
		return watch(ctx, dialer, *pubsub, *w.match, print)
	})
}

// watch prints. It returns when ctx ends.
func watch(ctx context.Context, dialer *gopherdiscovery.Dialer, urls string, match names.Pattern, print printer) error {
	sub, err := dialer.NewSubscriber(ctx, urls)
	if err != nil {
		return err
	}
	defer sub.Close()
	var before []string
	for list := range sub.Changes() {
		if list = match.Filter(list); before != nil && slices.Equal(before, list) {
			continue
		}
		switch err := print.change(time.Now(), before, list); {
		case err == errInterrupted:
			return nil
		case err != nil:
			return err
		}
		before = list
	}
	return nil
}
