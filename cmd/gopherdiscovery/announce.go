package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/cmd/gopherdiscovery/internal/announce"
	"github.com/dahernan/gopherdiscovery/internal/cli"
)

const aboutAnnounce = `Announce runs a command, and keeps -name on the list while the command runs, is
healthy and is not drained. It is healthy while -check succeeds within
-interval: a GET of http://host:port/path is answered with a status from 200 to
399, tcp://host:port accepts a connection, or exec:line, a line for the shell,
ends with exit code 0. Without -check it is healthy as soon as it is started. It
is drained while the file of -drain exists, and from one -drain-signal to the
next: off the list, and running. The line "announced" is logged when a server
has been told the name. A server that refuses the name says so in its own log
only.

On SIGTERM, SIGINT, SIGQUIT and -end-signal the name leaves the list. When it
has been off the list for -grace, in which others stop sending it requests, the
signal is passed on to the process group of the command. After -kill-after, what
is left of the group is killed. Other signals are passed on at once, except for
-drain-signal, and for a SIGHUP that is ignored at the start. The exit code is
the command's: 128 and the number of the signal if one has ended it, 127 if
there is no such command, and 126 if it cannot be started.`

func announceCommand() *ffcli.Command {
	flags := cli.NewFlags("announce", aboutAnnounce)
	server := flags.Server()
	name := flags.Service()
	var program announce.Program
	var check announce.Check
	flags.StringVar(&check.Target, "check", "", "`URL` that tells whether the command is healthy: http://host:port/path, tcp://host:port or exec:line")
	flags.DurationVar(&check.Interval, "interval", time.Second, "`time` between checks, and the longest that one may take")
	flags.IntVar(&check.Rise, "rise", 1, "`number` of checks in a row that succeed before the name joins the list")
	flags.IntVar(&check.Fall, "fall", 3, "`number` of checks in a row that fail before the name leaves the list")
	flags.StringVar(&program.DrainFile, "drain", "", "`file` that takes the name off the list while it exists; the command goes on")
	signalVar(flags, &program.DrainSignal, "drain-signal", "`signal` that takes the name off the list, and back when it comes again; the command does not get it")
	signalVar(flags, &program.EndSignal, "end-signal", "`signal` that also tells the command to end, such as USR1 for HAProxy and WINCH for httpd")
	flags.DurationVar(&program.Grace, "grace", 500*time.Millisecond, "`time` from leaving the list to passing on the signal")
	flags.DurationVar(&program.KillAfter, "kill-after", 10*time.Second, "`time` from passing on the signal to killing the command")
	const usage, short = "-name URL [flags] -- COMMAND...", "announce a command while it runs"
	return command(flags, usage, short, func(ctx context.Context, args []string) error {
		program.Args = args
		if err := checkProgram(&program, &check, *name); err != nil {
			return err
		}
		dialer, err := flags.Dialer()
		if err != nil {
			return err
		}
		if err := tryClient(dialer, *server, *name); err != nil {
			return err
		}
		program.Join = func() (announce.Member, error) { return join(dialer, *server, *name) }
		program.Logger = dialer.Logger.With("name", *name)
		return runAnnounced(ctx, &program)
	})
}

// signalVar adds a flag that is a signal, and leaves it nil unless it is given.
func signalVar(flags *cli.Flags, s *os.Signal, name, usage string) {
	flags.Func(name, usage, func(text string) (err error) {
		*s, err = announce.ParseSignal(text)
		return err
	})
}

// checkProgram completes the program when the flags are set. The check is part
// of it if that has a target.
func checkProgram(p *announce.Program, check *announce.Check, name string) error {
	switch {
	case len(p.Args) == 0:
		return cli.Usagef("no command is given; -h tells more")
	case name == "":
		return cli.Usagef("-name is missing; -h tells more")
	case check.Interval <= 0:
		return cli.Usagef("-interval %v is not above 0", check.Interval)
	case check.Rise < 1:
		return cli.Usagef("-rise %d is below 1", check.Rise)
	case check.Fall < 1:
		return cli.Usagef("-fall %d is below 1", check.Fall)
	case p.Grace < 0:
		return cli.Usagef("-grace %v is below 0", p.Grace)
	case p.KillAfter < 0:
		return cli.Usagef("-kill-after %v is below 0", p.KillAfter)
	case p.DrainSignal != nil && p.IsEnd(p.DrainSignal):
		return cli.Usagef("-drain-signal %v tells the command to end", p.DrainSignal)
	}
	if check.Target != "" {
		if err := check.Validate(); err != nil {
			return cli.Usagef("-check: %v", err)
		}
		p.Check = check
	}
	if p.DrainFile != "" {
		if _, err := os.Stat(p.DrainFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return cli.Usagef("-drain: %v", err)
		}
	}
	return nil
}

// join returns a client that announces a name, as a member of the list.
func join(dialer *gopherdiscovery.Dialer, server, name string) (announce.Member, error) {
	client, err := dialer.Client(context.Background(), server, name)
	if err != nil {
		return nil, err
	}
	return member{client}, nil
}

type member struct {
	*gopherdiscovery.DiscoveryClient
}

func (m member) IsAnnounced() bool {
	return slices.ContainsFunc(m.Servers(), func(s gopherdiscovery.ServerState) bool { return !s.Surveyed.IsZero() })
}

func (m member) Leave() { _ = m.Close() }

// tryClient returns the error of a client with these arguments, before the
// command is started. The client ends at once.
func tryClient(dialer *gopherdiscovery.Dialer, server, name string) error {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	quiet := gopherdiscovery.Dialer{TLSConfig: dialer.TLSConfig, Logger: slog.New(slog.DiscardHandler)}
	client, err := quiet.Client(ended, server, name)
	if err != nil {
		return err
	}
	return client.Close()
}

// runAnnounced tells how the command has ended as a [cli.Exit]. Signals end the
// command, and not ctx: one that has ended it was faster than the start.
func runAnnounced(ctx context.Context, p *announce.Program) error {
	cli.OutliveReaders()
	signals, stop := announce.Notify()
	defer stop()
	if ctx.Err() != nil {
		return errInterrupted
	}
	code, err := p.Run(signals)
	if err != nil {
		p.Logger.Error("cannot run the command, or announce it", "error", err)
	}
	return cli.Exit(code)
}
