package main

import (
	"context"
	"os"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/cli"
)

const aboutWatch = `Watch prints who joins and who leaves, as it happens, until SIGTERM or Ctrl-C. Several URLs, separated by commas,
are servers whose lists are taken together.`

func watchCommand() *ffcli.Command {
	flags := cli.NewFlags("watch", aboutWatch)
	pubsub := flags.PubSub()
	inJSON := flags.Bool("json", false, "print each change and the list after it as JSON, one object a line")
	return command(flags, "[flags]", "print who joins and leaves", func(ctx context.Context, args []string) error {
		if err := noArguments(args); err != nil {
			return err
		}
		dialer, err := flags.Dialer()
		if err != nil {
			return err
		}
		return watch(ctx, dialer, *pubsub, printer{os.Stdout, *inJSON})
	})
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
