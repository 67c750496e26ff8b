package main

import (
	"flag"
	"strings"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/examples/internal/cli"
)

const about = `Discoveryd surveys its clients and publishes the list of those who are alive. It runs until SIGTERM or Ctrl-C.
A flag that is not given is taken from the environment: -log-level from DISCOVERYD_LOG_LEVEL.

With -http it serves /healthz, /readyz and /metrics. With -tls-cert, -tls-key and -tls-ca only clients with a certificate get in;
the URLs are then tls+tcp://host:port. New connections see a change of these files; SIGHUP says whether they are of use.`

// options are what the flags say.
type options struct {
	flags                *cli.Flags
	server, pubsub, http string
	discovery            gopherdiscovery.Options
}

// parse leaves zero what is not given: the library knows the defaults.
func parse(args []string) (options, error) {
	flags := cli.NewFlags("discoveryd", about)
	o := options{flags: flags}
	flags.Environment("DISCOVERYD")
	server, pubsub, http := flags.Server(), flags.PubSub(), flags.HTTP("")
	d := &o.discovery
	flags.DurationVar(&d.SurveyTime, "survey-time", 0, "deadline of one survey (default 1s)")
	flags.DurationVar(&d.RecvDeadline, "recv-deadline", 0, "longest silence within a survey (default as -survey-time)")
	flags.DurationVar(&d.PollTime, "poll-time", 0, "pause between polls, and before the first list (default 2s)")
	flags.DurationVar(&d.JoinInterval, "join-interval", 0, "surveys of new connections are this far apart; below 0 joins wait for the next poll (default 20ms)")
	flags.IntVar(&d.MissedSurveys, "missed-surveys", 0, "`surveys` in a row that a silent client misses until it is dropped (default 2)")
	flags.IntVar(&d.MaxClients, "max-clients", 0, "`connections` accepted on each of the two URLs (default 10000)")
	requireName := flags.Bool("require-cert-name", false, "a client may only announce a name of its certificate, or a URL on a host that is one")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if err := notNegative(flags.FlagSet); err != nil {
		return o, err
	}
	o.server, o.pubsub, o.http = *server, *pubsub, *http

	var err error
	if d.TLSConfig, err = flags.ServerTLS(); err != nil {
		return o, err
	}
	d.Logger = flags.Logger()
	surveysTLS, publishesTLS := isTLS(o.server), isTLS(o.pubsub)
	switch {
	case d.TLSConfig == nil && (surveysTLS || publishesTLS):
		return o, cli.Usagef("-server %s, -pubsub %s: tls+tcp needs -tls-cert and -tls-key", o.server, o.pubsub)
	case d.TLSConfig != nil && !surveysTLS && !publishesTLS:
		return o, cli.Usagef("-tls-cert has no effect on -server %s and -pubsub %s, want tls+tcp://host:port", o.server, o.pubsub)
	case *requireName && (!surveysTLS || d.TLSConfig.ClientCAs == nil):
		return o, cli.Usagef("-require-cert-name needs -tls-ca, and tls+tcp:// instead of -server %s", o.server)
	case *requireName:
		d.Authorize = ownsName
	}
	return o, nil
}

func isTLS(url string) bool { return strings.HasPrefix(url, "tls+tcp://") }

// notNegative names the flag, which the library does not know.
func notNegative(flags *flag.FlagSet) error {
	for _, name := range []string{"survey-time", "recv-deadline", "poll-time", "missed-surveys", "max-clients"} {
		if value := flags.Lookup(name).Value.String(); strings.HasPrefix(value, "-") {
			return cli.Usagef("-%s %s is below 0", name, value)
		}
	}
	return nil
}
