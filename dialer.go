package gopherdiscovery

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"log/slog"

	"github.com/dahernan/gopherdiscovery/internal/sp"

	//lint:ignore SA1019 an alias of context, in the signatures since 2015
	"golang.org/x/net/context"
)

// Client announces service to the server that surveys on urlServer. It is like
// [Dialer.Client] with a zero Dialer and a context that is never canceled.
func Client(urlServer, service string) (*DiscoveryClient, error) {
	return new(Dialer).Client(context.Background(), urlServer, service)
}

// ClientWithSub is like [Client], and also subscribes to the list that a server
// publishes on urlPubSub. See [DiscoveryClient.Peers].
func ClientWithSub(urlServer, urlPubSub, service string) (*DiscoveryClient, error) {
	return new(Dialer).ClientWithSub(context.Background(), urlServer, urlPubSub, service)
}

// NewSubscriber subscribes to the list that a server publishes on url, until
// ctx is done or the subscriber is closed. It is like [Dialer.NewSubscriber]
// with a zero Dialer.
func NewSubscriber(ctx context.Context, url string) (*Subscriber, error) {
	return new(Dialer).NewSubscriber(ctx, url)
}

// A Dialer contains options for clients and subscribers. The zero value is
// ready to use. Methods do not modify a Dialer and may be called concurrently.
type Dialer struct {
	// TLSConfig is the TLS configuration for tls+tcp:// URLs, which require it.
	// If its ServerName is empty, the host of each URL is used. A callback or a
	// key that hangs delays only its own connection, for 30 seconds at most:
	// then that is given up, or goes on without ClientSessionCache. Wait gives
	// it half a second to return. EncryptedClientHelloRejectionVerify,
	// KeyLogWriter, Rand and Time must return quickly. Clients and subscribers
	// keep a clone.
	TLSConfig *tls.Config

	// Logger receives a record when a server is lost, once for each reason, and
	// when it is found again, and for bad input, once per remote host and
	// reason. A logger that is slow or hangs does no harm, as described for
	// [Options.Logger]. If nil, [slog.Default] is used.
	Logger *slog.Logger
}

// Client announces service to the server that surveys on urlServer, until ctx
// is done, or until [DiscoveryClient.Cancel] or [DiscoveryClient.Close] is
// called. The server need not be running yet. The client connects in the
// background, and reconnects whenever the connection is lost.
//
// A service name is valid UTF-8 of 1 to 512 bytes, without control characters
// and without the character "|". Several clients may share a name, which then
// stays on the list until the last of them has left.
//
// The argument urlServer may consist of several URLs, separated by commas. The
// client then announces itself to all of the servers.
//
// The error matches [ErrInvalidURL], [ErrInvalidService] or
// [ErrInvalidArgument]. A server that cannot be reached is not an error. Each
// reason is logged once, and the client keeps trying. A server does not tell a
// client that it refuses its name.
func (d *Dialer) Client(ctx context.Context, urlServer, service string) (*DiscoveryClient, error) {
	surveys, err := d.parse("urlServer", urlServer)
	if err != nil {
		return nil, err
	}
	return newClient(ctx, surveys, nil, service, d.settings())
}

// ClientWithSub is like [Dialer.Client], and also subscribes to the list that a
// server publishes on urlPubSub. See [DiscoveryClient.Peers], and
// [Dialer.NewSubscriber] for several URLs.
func (d *Dialer) ClientWithSub(ctx context.Context, urlServer, urlPubSub, service string) (*DiscoveryClient, error) {
	surveys, err := d.parse("urlServer", urlServer)
	if err != nil {
		return nil, err
	}
	pubsubs, err := d.parse("urlPubSub", urlPubSub)
	if err != nil {
		return nil, err
	}
	if err := sp.CheckDistinct(surveys, pubsubs); err != nil {
		return nil, err
	}
	return newClient(ctx, surveys, pubsubs, service, d.settings())
}

// NewSubscriber subscribes to the list that a server publishes on url, until
// ctx is done, or until [Subscriber.Cancel] or [Subscriber.Close] is called.
// The server need not be running yet. The subscriber connects in the
// background, and reconnects whenever the connection is lost.
//
// The subscriber asks each server for changes of the list. Servers of this
// library send them. Other publishers refuse at once, and the subscriber then
// asks for whole lists.
//
// The argument url may consist of several URLs, separated by commas. The
// subscriber then delivers the union of the newest lists of all servers.
//
// A server is away while it is not connected or has missed three beats; see
// [Options.PollTime] for the beat. While other servers count, names that only
// the server which is away knows stay for 30 seconds. A name that the others
// remove meanwhile does not come back through it before it has had the time to
// find out: 35 seconds or three beats, whichever is longer, plus the time that
// it was away, up to 2 minutes. When no server counts, the last list stands.
// The subscriber gives up a connection after ten silent beats, but not before
// 30 seconds have passed. A publisher of whole lists has no beat and may be
// silent for any time.
//
// The error matches [ErrInvalidURL] or [ErrInvalidArgument].
func (d *Dialer) NewSubscriber(ctx context.Context, url string) (*Subscriber, error) {
	if err := checkContext(ctx); err != nil {
		return nil, err
	}
	pubsubs, err := d.parse("url", url)
	if err != nil {
		return nil, err
	}
	set := d.settings()
	s, err := newSubscriber(pubsubs, set)
	if err != nil {
		return nil, err
	}
	s.log = set.Log
	s.start(ctx)
	return s, nil
}

// parse parses the URLs to connect to that are the argument arg.
func (d *Dialer) parse(arg, urls string) ([]sp.Address, error) {
	all, err := sp.ParseDialURLs(arg, urls)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		switch {
		case !a.IsTLS():
		case d.TLSConfig == nil:
			return nil, fmt.Errorf("%w: Dialer.TLSConfig is nil, %s %q needs it", ErrInvalidArgument, arg, urls)
		case a.ServerName() == "" && d.TLSConfig.ServerName == "" && !d.TLSConfig.InsecureSkipVerify:
			return nil, fmt.Errorf("%w: %s %q: no host that the server's certificate must name, and Dialer.TLSConfig has no ServerName",
				ErrInvalidURL, arg, urls)
		}
	}
	return all, nil
}

func (d *Dialer) settings() sp.Settings {
	logger := cmp.Or(d.Logger, slog.Default())
	return sp.Settings{Log: sp.NewLog(logger), TLS: d.TLSConfig.Clone()}
}
