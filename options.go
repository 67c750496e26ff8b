package gopherdiscovery

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"time"
)

// Options configures a server. The zero value is ready to use, because each
// zero field stands for its default. The server copies the struct and does not
// modify it, so that it can be used again.
type Options struct {
	// SurveyTime is the maximum duration of a survey. A survey ends earlier
	// when all clients have answered. A client that has not answered by the end
	// has missed the survey. The default is 1 second. It must not be negative.
	SurveyTime time.Duration

	// RecvDeadline is the maximum silence within a survey. A survey also ends
	// when no answer has come for this long. The default is SurveyTime. It must
	// not be negative.
	RecvDeadline time.Duration

	// PollTime is the pause between the end of a survey of all clients and the
	// start of the next. The first such survey starts PollTime after the start
	// of the server, or after the process was stopped and has continued.
	//
	// When the first survey has ended and the clients that have just connected
	// have answered too, the list is complete. Until then, a subscriber that
	// already has a list is sent no change of it. Clients that reconnect in
	// time after a restart of the server therefore stay on the list throughout.
	// A subscriber that has no list is sent what is known so far, unless it
	// takes whole lists only.
	//
	// PollTime is also the beat of subscriptions, but at least 50 milliseconds
	// and at most 1 minute. The server sends a few bytes to a subscriber that
	// was sent nothing else for a beat. A server that misses three beats, and
	// is silent for at least 1 second, does not count while another server
	// speaks.
	//
	// The default is 2 seconds. It must not be negative.
	PollTime time.Duration

	// JoinInterval is the minimum interval between the surveys that new
	// connections cause. A single join is seen at once, and a burst of joins
	// becomes a few changes. If JoinInterval is negative, new connections cause
	// no survey, and a join is seen in the next survey of all clients. The
	// default is 20 milliseconds. A value above PollTime is reduced to
	// PollTime.
	JoinInterval time.Duration

	// MissedSurveys is the number of surveys in a row that a silent client
	// misses before it is dropped from the list. A client whose connection ends
	// is dropped at once.
	//
	// A client that was slow to answer before is given more time: 64 times its
	// slowest answer, but at most 30 seconds. If more than one name in seven,
	// and at least 3, miss the same survey, the likely cause is the server, its
	// network or an overload. None of them is then dropped before it has been
	// silent for 2 minutes.
	//
	// The default is 2. It must not be negative.
	MissedSurveys int

	// MaxClients is the maximum number of connections on each of the two URLs.
	// Further connections are closed at once. The default is 10000. It must not
	// be negative.
	MaxClients int

	// TLSConfig is the TLS configuration for tls+tcp:// URLs, which require it.
	// It must contain Certificates, GetCertificate or GetConfigForClient. For
	// mutual TLS, set ClientAuth and ClientCAs. The server keeps a clone.
	//
	// Callbacks must return quickly. They run during handshakes, of which the
	// process computes only as many at a time as there are processors. After
	// the certificate of a client has expired, its connection is closed at the
	// next survey or list.
	TLSConfig *tls.Config

	// Authorize decides whether a client may announce a name. If nil, all names
	// are admitted. It is called for each answer to a survey, so that a refused
	// name never enters the list. An error refuses the name, and is logged once
	// per connection. If the name was admitted on the same connection before,
	// the connection is closed, and the name leaves the list at once.
	//
	// Authorize is called concurrently. A slow call delays only the connection
	// that it is about. Wait gives running calls half a second to return.
	Authorize func(service string, from Conn) error

	// Logger receives a record for bad input, once per connection, and for
	// failures to accept connections. Nothing is logged per survey. Records
	// pass through a short queue, so that a logger that is slow or hangs delays
	// nothing. Records that do not fit are omitted and counted in the next
	// record. Wait gives the logger half a second to handle the rest. If nil,
	// [slog.Default] is used.
	Logger *slog.Logger
}

// withDefaults validates the options and fills in the defaults.
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

// parse parses the URL to listen on that is the argument arg.
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

// A Conn describes a connection to [Options.Authorize]. For a client behind a
// device, it is the connection of the device.
type Conn struct {
	// RemoteAddr is the remote address of the connection. It may be nil if the
	// transport has no addresses of this kind.
	RemoteAddr net.Addr

	// TLS is the state of the connection after the TLS handshake, or nil
	// without TLS. With mutual TLS, TLS.PeerCertificates[0] is the certificate
	// of the client.
	TLS *tls.ConnectionState
}

// checkScheme returns an error for a scheme that neither this package nor a
// registered transport serves.
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
