package main

import (
	"context"
	"net"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/cmd/gopherdiscovery/internal/web"
	"github.com/dahernan/gopherdiscovery/internal/cli"
)

const aboutServe = `Serve surveys its clients and publishes the list of those who are alive. It runs until SIGTERM or Ctrl-C.

With -http it serves /healthz, /readyz and /metrics. With -tls-cert, -tls-key and -tls-ca only clients with a certificate get in;
the URLs are then tls+tcp://host:port. New connections see a change of these files; SIGHUP says whether they are of use.`

func serveCommand() *ffcli.Command {
	o := newServeOptions()
	return command(o.flags, "[flags]", "run a server", func(ctx context.Context, args []string) error {
		if err := noArguments(args); err != nil {
			return err
		}
		if err := o.check(); err != nil {
			return err
		}
		return serve(ctx, o)
	})
}

func serve(ctx context.Context, o *serveOptions) (err error) {
	o.flags.Daemon()
	logger := o.discovery.Logger

	var listener net.Listener
	if *o.http != "" {
		if listener, err = cli.Listen(ctx, *o.http); err != nil {
			return err
		}
		defer listener.Close()
	}
	server, err := gopherdiscovery.ServerContext(ctx, *o.server, *o.pubsub, o.discovery)
	if err != nil {
		return err
	}
	defer func() {
		_ = server.Close()
		logger.Info("the server has ended")
	}()
	survey, pubsub := server.URLs() // with the ports that the system chose
	running := logger.With("server", survey, "pubsub", pubsub)

	if listener == nil {
		running.Info("the server is running")
		server.Wait() // ends with ctx
		return nil
	}
	running.Info("the server is running", "http", listener.Addr().String())
	return cli.Serve(ctx, listener, web.Handler(ctx, server, logger), logger)
}
