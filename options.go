package gopherdiscovery

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"time"
)

// Options says how a server looks for its clients. The zero value is ready to use: each zero field stands for its default.
// The server keeps a copy, the struct is never changed and may be used again.
type Options struct {
	// SurveyTime is the longest that one survey lasts. A survey ends earlier when everyone has answered; a client that has
	// not answered by its end has missed it. The default is 1 second. It must not be negative.
	SurveyTime time.Duration

	// RecvDeadline is the longest silence within a survey: the survey also ends when no answer has come for this
	// long. The default is SurveyTime. It must not be negative.
	RecvDeadline time.Duration

	// PollTime is the pause between the end of a survey of everyone and the
	// start of the next. The first one begins this long after the server's
	// start, or after the process was stopped and continued. When everyone who
	// has just connected has answered too, the list is complete. Until then a
	// subscriber that has a list is told no change of it, so that a restart goes
	// unnoticed by those who come back in time. A subscriber that has none is
	// told what is known so far, unless it takes whole lists only.
	//
	// PollTime is also the beat of the subscriptions, but at least 50
	// milliseconds and at most a minute. A server that has had nothing to say
	// for so long sends a few bytes. One that misses three beats, and is silent
	// for at least a second, does not count while another one speaks.
	//
	// The default is 2 seconds. It must not be negative.
	PollTime time.Duration

	// JoinInterval is how far apart the surveys are that new connections cause: a lone join is seen at once, a burst
	// of joins as a few changes. The default is 20 milliseconds, and it is never above PollTime. Below zero a new
	// connection causes no survey, and a join waits for the next poll.
	JoinInterval time.Duration

	// MissedSurveys is the number of surveys in a row that a silent client misses until it is dropped. A client whose
	// connection ends is dropped at once. A client that has taken long to answer before is given longer, 64 times as long
	// as its slowest answer, but at most 30 seconds. A survey that more than one name in seven misses at once, and at least
	// 3, says more about the server, its network or an overload than about them: nobody is dropped for it before the
	// silence has lasted 2 minutes. The default is 2. It must not be negative.
	MissedSurveys int

	// MaxClients is how many connections are accepted on each of the two URLs; one more is closed at once. The default is
	// 10000. It must not be negative.
	MaxClients int

	// TLSConfig is for tls+tcp:// URLs, which need it: with certificates, or with GetCertificate or GetConfigForClient. For
	// mutual TLS set ClientAuth and ClientCAs. A connection is closed at the first survey or list after the client's
	// certificate has expired. Its callbacks must return soon: they are a part of handshakes, of which the process computes
	// only as many at a time as there are processors. The server keeps a clone.
	TLSConfig *tls.Config

	// Authorize decides who may announce a name; nil admits every name. It is called with each answer to a survey, so that a
	// name that is refused never enters a list. An error refuses the name, and is logged once per connection. When a name is
	// refused that the same connection was allowed to announce before, the connection is closed, and the name leaves at once.
	// Authorize is called concurrently, and delays only the connection that it is asked about. Wait gives calls
	// that are under way half a second to return.
	Authorize func(service string, from Conn) error

	// Logger takes the server's log: bad input, once per connection. Nothing is logged per survey. Records pass through a
	// short queue: a logger that is slow or hangs delays nothing, what does not fit is left out and counted in the next
	// record, and Wait gives it half a second for the rest. The default is slog.Default().
	Logger *slog.Logger
}

// withDefaults checks the options and fills in the defaults.
func (o Options) withDefaults() (Options, error) {
	for _, field := range []struct {
		name  string
		value time.Duration
	}{
		{"SurveyTime", o.SurveyTime},
		{"RecvDeadline", o.RecvDeadline},
		{"PollTime", o.PollTime},
	} {
		if field.value < 0 {
			return o, fmt.Errorf("%w: Options.%s %v: negative", ErrInvalidArgument, field.name, field.value)
		}
	}
	for _, field := range []struct {
		name  string
		value int
	}{
		{"MissedSurveys", o.MissedSurveys},
		{"MaxClients", o.MaxClients},
	} {
		if field.value < 0 {
			return o, fmt.Errorf("%w: Options.%s %d: negative", ErrInvalidArgument, field.name, field.value)
		}
	}
	setDefault(&o.SurveyTime, defaultSurveyTime)
	setDefault(&o.RecvDeadline, o.SurveyTime)
	setDefault(&o.PollTime, defaultPollTime)
	setDefault(&o.JoinInterval, defaultJoinInterval)
	setDefault(&o.MissedSurveys, defaultMissedSurveys)
	setDefault(&o.MaxClients, defaultMaxClients)
	setDefault(&o.Logger, slog.Default())
	o.JoinInterval = min(o.JoinInterval, o.PollTime)
	return o, nil
}

// parse checks the argument arg, a URL to listen on.
func (o Options) parse(arg, url string) (address, error) {
	a, err := parseListenURL(arg, url)
	if err == nil {
		err = checkScheme(arg, url, a)
	}
	if err != nil || !a.isTLS() {
		return a, err
	}
	if o.TLSConfig == nil {
		return a, fmt.Errorf("%w: Options.TLSConfig is nil, %s %q needs it", ErrInvalidArgument, arg, url)
	}
	if c := o.TLSConfig; len(c.Certificates) == 0 && c.GetCertificate == nil && c.GetConfigForClient == nil {
		return a, fmt.Errorf("%w: Options.TLSConfig has no certificate, %s %q needs one", ErrInvalidArgument, arg, url)
	}
	return a, nil
}

func (o Options) settings() settings {
	return settings{log: &asyncLog{logger: o.Logger}, tls: o.TLSConfig.Clone(), maxConns: o.MaxClients, handshakes: new(handshakes)}
}

// Conn is what Options.Authorize learns of a connection. Behind a device it is the device's.
type Conn struct {
	// RemoteAddr is the address that the connection comes from.
	RemoteAddr net.Addr

	// TLS is the state after the handshake; with mutual TLS the client's certificate is TLS.PeerCertificates[0]. It is nil
	// without TLS.
	TLS *tls.ConnectionState
}

// checkScheme refuses a scheme that neither we nor a registered transport serve.
func checkScheme(arg, urls string, a address) error {
	if a.isOurs() || isForeign(a.scheme) {
		return nil
	}
	return fmt.Errorf("%w: %s %q: unknown scheme %q", ErrInvalidURL, arg, urls, a.scheme)
}

func checkContext(ctx context.Context) error {
	if ctx == nil {
		return fmt.Errorf("%w: ctx is nil", ErrInvalidArgument)
	}
	return nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
