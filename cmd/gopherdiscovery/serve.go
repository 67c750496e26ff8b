package main

import (
	"context"
	"log/slog"
	"net"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/cli"
)

const aboutServe = `Serve surveys its clients and publishes the list of those that are alive. It
runs until SIGTERM or Ctrl-C, and tells systemd when it is ready, and when it
stops.

With -http it serves a page for people at /, and for programs /peers,
/prometheus/sd, /healthz, /readyz and /metrics.

With -tls-cert, -tls-key and -tls-ca only clients with a certificate get in; the
URLs are then tls+tcp://host:port. New connections see a change of these files;
SIGHUP says whether they are of use.`

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
	if listener != nil {
		running = running.With("http", listener.Addr().String())
	}
	running.Info("the server is running")
	notify(logger, daemon.SdNotifyReady)
	stopping, stop := context.WithCancel(ctx)
	told := make(chan struct{})
	go func() {
		defer close(told)
		<-stopping.Done() // the end takes as long as requests do
		notify(logger, daemon.SdNotifyStopping)
	}()
	defer func() {
		stop()
		<-told
	}()

	if listener == nil {
		server.Wait() // ends with ctx
		return nil
	}
	return cli.Serve(ctx, listener, webHandler(server, listener.Addr(), *o.httpHosts, logger), logger)
}

// notify tells systemd, if that has started the program with Type=notify.
func notify(logger *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		logger.Warn("systemd cannot be told", "state", state, "error", err)
	}
}
