package main

import (
	"flag"
	"strings"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/cli"
)

// serveOptions are what the flags of serve say.
type serveOptions struct {
	flags                *cli.Flags
	server, pubsub, http *string
	httpHosts            *string
	requireName          *bool
	discovery            gopherdiscovery.Options
}

// newServeOptions leaves zero what is not given: the library knows the
// defaults, which the help shows.
func newServeOptions() *serveOptions {
	flags := cli.NewFlags("serve", aboutServe)
	o := &serveOptions{flags: flags, server: flags.Server(), pubsub: flags.PubSub(), http: flags.HTTP("")}
	d := &o.discovery
	flags.DurationVar(&d.SurveyTime, "survey-time", 0, "deadline of one survey")
	flags.DurationVar(&d.RecvDeadline, "recv-deadline", 0, "longest silence within a survey")
	flags.DurationVar(&d.PollTime, "poll-time", 0, "pause between polls")
	flags.DurationVar(&d.ReturnTime, "return-time", 0, "time that clients have to come back, after a start or a loss of most connections")
	flags.DurationVar(&d.JoinInterval, "join-interval", 0, "surveys of new connections are this far apart; below 0 joins wait for the next poll")
	flags.IntVar(&d.MissedSurveys, "missed-surveys", 0, "`surveys` in a row that a silent client misses until it is dropped")
	flags.IntVar(&d.MaxClients, "max-clients", 0, "`connections` accepted on each of the two URLs")
	o.httpHosts = flags.String("http-host", "", "`names`, separated by commas, that requests may have as their host; without it any, but none on a loopback address")
	o.requireName = flags.Bool("require-cert-name", false, "a client may only announce a name of its certificate, or a URL on a host that is one")
	for name, value := range map[string]string{
		"survey-time": "1s", "recv-deadline": "SURVEY-TIME", "poll-time": "2s", "return-time": "5s",
		"join-interval": "20ms", "missed-surveys": "2", "max-clients": "10000",
	} {
		flags.Lookup(name).DefValue = value
	}
	return o
}

// check completes the options when the flags are set.
func (o *serveOptions) check() (err error) {
	if err := notNegative(o.flags.FlagSet); err != nil {
		return err
	}
	d := &o.discovery
	if d.TLSConfig, err = o.flags.ServerTLS(); err != nil {
		return err
	}
	d.Logger = o.flags.Logger()
	surveysTLS, publishesTLS := isTLS(*o.server), isTLS(*o.pubsub)
	switch {
	case d.TLSConfig == nil && (surveysTLS || publishesTLS):
		return cli.Usagef("-server %s, -pubsub %s: tls+tcp needs -tls-cert and -tls-key", *o.server, *o.pubsub)
	case d.TLSConfig != nil && !surveysTLS && !publishesTLS:
		return cli.Usagef("-tls-cert has no effect on -server %s and -pubsub %s, want tls+tcp://host:port", *o.server, *o.pubsub)
	case *o.httpHosts != "" && *o.http == "":
		return cli.Usagef("-http-host %s has no effect without -http", *o.httpHosts)
	case *o.requireName && (!surveysTLS || d.TLSConfig.ClientCAs == nil):
		return cli.Usagef("-require-cert-name needs -tls-ca, and tls+tcp:// instead of -server %s", *o.server)
	case *o.requireName:
		d.Authorize = ownsName
	}
	return nil
}

func isTLS(url string) bool { return strings.HasPrefix(url, "tls+tcp://") }

// notNegative names the flag, which the library does not know.
func notNegative(flags *flag.FlagSet) error {
	for _, name := range []string{"survey-time", "recv-deadline", "poll-time", "return-time", "missed-surveys", "max-clients"} {
		if value := flags.Lookup(name).Value.String(); strings.HasPrefix(value, "-") {
			return cli.Usagef("-%s %s is below 0", name, value)
		}
	}
	return nil
}
