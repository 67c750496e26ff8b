package gopherdiscovery

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/membership"
	"github.com/dahernan/gopherdiscovery/internal/sp"
)

// Options configures a server. The zero value is ready to use, because each
// zero field stands for its default. The server copies the struct and does not
// modify it, so that it can be used again.
//
// A duration below a millisecond is an error unless it is zero: its unit was
// probably forgotten. The useful range of each field is only a recommendation.
type Options struct {
	// SurveyTime is the maximum duration of a survey. A survey ends earlier
	// when all clients have answered. A client that has not answered by the end
	// has missed the survey. The default is 1 second, and 100 milliseconds to
	// 10 seconds are useful: longer than the slowest usual answer. It must not
	// be negative.
	SurveyTime time.Duration

	// RecvDeadline is the maximum silence within a survey. A survey also ends
	// when no answer has come for this long. The default is SurveyTime, which
	// is also the longest useful value. It must not be negative.
	RecvDeadline time.Duration

	// PollTime is the pause between the end of a survey of all clients and the
	// start of the next. The first such survey starts PollTime after the start
	// of the server.
	//
	// A subscriber that takes whole lists only is sent nothing in the first
	// PollTime of the server, as in 2015.
	//
	// Subscriptions also use PollTime as their heartbeat interval, within 50
	// milliseconds to 1 minute. The server sends a few bytes to a subscriber
	// that was sent nothing else for that long. The list of a server that
	// misses three beats, and is silent for at least 1 second, counts for 30
	// seconds more while another server can be heard.
	//
	// The default is 2 seconds, and 500 milliseconds to 1 minute are useful. A
	// shorter one costs processor time on all sides, and with a longer one a
	// hung client is noticed late. It must not be negative.
	PollTime time.Duration

	// ReturnTime is how long clients are given to come back after the server
	// has started, after the process was stopped, and after most of them have
	// lost their connections within a second: at least 3, or all of at least 2.
	// Clients that return in time never leave the list. While no client is
	// connected, the path to all of them may be down, and ReturnTime begins
	// when the first one is back, or after 30 seconds. While more clients are
	// coming in than the server can serve, all have longer, but at most 5
	// minutes.
	//
	// A subscriber that connects with a list from before such an event, or from
	// another server, is told nothing before the clients are back or ReturnTime
	// has passed.
	//
	// The default is 5 seconds, and 3 to 30 seconds are useful: clients that
	// cannot connect try again about once a second, and an attempt may take 2
	// seconds. It must not be negative.
	ReturnTime time.Duration

	// JoinInterval is the minimum interval between surveys of newly connected
	// clients. A single join is seen at once, and a burst of joins becomes a
	// few changes. If JoinInterval is negative, new clients are not surveyed
	// until the next survey of all clients, and a join is seen then. The
	// default is 20 milliseconds, and 1 millisecond to 1 second are useful. A
	// value above PollTime is reduced to PollTime.
	JoinInterval time.Duration

	// MissedSurveys is the number of surveys in a row that a silent client
	// misses before it is dropped from the list. A client that closes is
	// dropped at once. One whose connection ends without that is dropped 20
	// milliseconds later, or later still if other connections end too; see
	// ReturnTime.
	//
	// A client that was slow to answer before is given more time: 64 times its
	// slowest answer, but at most 30 seconds. If more than one client in seven,
	// and at least 3, miss the same survey, the likely cause is the server, its
	// network or an overload, and each of them is given 30 seconds. Clients of
	// one remote host count as one, unless all come from one host. If there are
	// at least 2 hosts and all are silent, that is enough too. In any case a
	// name leaves after MissedSurveys surveys or 30 seconds, whichever is
	// later. Time in which the server itself was stopped does not count.
	//
	// The default is 2, and 1 to 10 are useful. It must not be negative.
	MissedSurveys int

	// MaxClients is the maximum number of connections on each of the two URLs.
	// Further connections are closed at once. The default is 10000. A value
	// above the number of file descriptors that the process may open is of no
	// use. It must not be negative.
	MaxClients int

	// TLSConfig is the TLS configuration for tls+tcp:// URLs, which require it.
	// It must contain Certificates, GetCertificate or GetConfigForClient. For
	// mutual TLS, set ClientAuth and ClientCAs. The server keeps a clone.
	//
	// Its callbacks and keys are called concurrently. A callback that hangs, or
	// a key in hardware, delays only its own connection, and Wait gives it half
	// a second to return. The callbacks and keys of Encrypted Client Hello, and
	// KeyLogWriter, Rand and Time, must return quickly. After the certificate
	// of a client has expired, its connection is closed at the next survey or
	// list.
	TLSConfig *tls.Config

	// Authorize decides whether a client may announce a name. If nil, all names
	// are admitted. It is called for each answer to a survey, so that a refused
	// name never enters the list. An error refuses the name, and is logged once
	// per connection and reason. If the same connection has the name on the
	// list, the connection is closed, and the name leaves the list at once.
	//
	// Authorize is called concurrently. A slow call delays only the connection
	// that it is about. While it runs, names that were admitted on that
	// connection before stay on the list. Wait gives running calls half a
	// second to return.
	Authorize func(service string, from Conn) error

	// Logger receives a record for bad input, once per remote host and reason,
	// and for failures to accept connections. Nothing is logged per survey.
	// Records pass through a short queue, so that a logger that is slow or
	// hangs delays nothing. Records that do not fit are omitted and counted in
	// the next record. Wait gives the logger half a second to handle the rest.
	// If nil, [slog.Default] is used.
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
		{"ReturnTime", o.ReturnTime},
		{"JoinInterval", max(o.JoinInterval, 0)}, // may be negative
	} {
		switch {
		case field.value < 0:
			return o, fmt.Errorf("%w: Options.%s %v: negative", ErrInvalidArgument, field.name, field.value)
		case field.value > 0 && field.value < shortestOption:
			return o, fmt.Errorf("%w: Options.%s %v: below %v, is the unit missing?",
				ErrInvalidArgument, field.name, field.value, shortestOption)
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
	o.SurveyTime = cmp.Or(o.SurveyTime, defaultSurveyTime)
	o.RecvDeadline = cmp.Or(o.RecvDeadline, o.SurveyTime)
	o.PollTime = cmp.Or(o.PollTime, defaultPollTime)
	o.JoinInterval = cmp.Or(o.JoinInterval, defaultJoinInterval)
	o.ReturnTime = cmp.Or(o.ReturnTime, defaultReturnTime)
	o.MissedSurveys = cmp.Or(o.MissedSurveys, defaultMissedSurveys)
	o.MaxClients = cmp.Or(o.MaxClients, defaultMaxClients)
	o.Logger = cmp.Or(o.Logger, slog.Default())
	o.JoinInterval = min(o.JoinInterval, o.PollTime)
	return o, nil
}

func (o Options) membership() membership.Config {
	return membership.Config{
		SurveyTime: o.SurveyTime, RecvDeadline: o.RecvDeadline, PollTime: o.PollTime,
		JoinInterval: o.JoinInterval, ReturnTime: o.ReturnTime, MissedSurveys: o.MissedSurveys,
	}
}

// parse parses the URL to listen on that is the argument arg.
func (o Options) parse(arg, url string) (sp.Address, error) {
	a, err := sp.ParseListenURL(arg, url)
	if err != nil || !a.IsTLS() {
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

func (o Options) settings() sp.Settings {
	return sp.Settings{Log: sp.NewLog(o.Logger), TLS: sp.ServerTLS(o.TLSConfig.Clone()), MaxConns: o.MaxClients, Handshakes: new(sp.Handshakes)}
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

func checkContext(ctx context.Context) error {
	if ctx == nil {
		return fmt.Errorf("%w: ctx is nil", ErrInvalidArgument)
	}
	return nil
}
