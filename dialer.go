package gopherdiscovery

import (
	"crypto/tls"
	"fmt"
	"log/slog"

	"golang.org/x/net/context" //lint:ignore SA1019 the library's signatures have always named it; it is an alias of the standard one
)

// Client announces service at the server that surveys on urlServer. It is Dialer.Client with the zero Dialer and a context
// that never ends.
func Client(urlServer, service string) (*DiscoveryClient, error) {
	return new(Dialer).Client(context.Background(), urlServer, service)
}

// ClientWithSub is like Client and also subscribes to the list on urlPubSub, see Peers.
func ClientWithSub(urlServer, urlPubSub, service string) (*DiscoveryClient, error) {
	return new(Dialer).ClientWithSub(context.Background(), urlServer, urlPubSub, service)
}

// NewSubscriber subscribes to the list that a server publishes on url, until ctx ends or Close. It is
// Dialer.NewSubscriber with the zero Dialer.
func NewSubscriber(ctx context.Context, url string) (*Subscriber, error) {
	return new(Dialer).NewSubscriber(ctx, url)
}

// Dialer says how clients and subscribers connect. The zero value is ready to use, a Dialer is never changed by its
// methods, and they may be called concurrently.
type Dialer struct {
	// TLSConfig is for tls+tcp:// URLs, which need it. An empty ServerName is filled in from the URL. What connects keeps a clone.
	TLSConfig *tls.Config

	// Logger takes the log: a server lost or found again, and bad input once per connection. It may be slow or hang, as
	// Options.Logger may. The default is slog.Default().
	Logger *slog.Logger
}

// Client announces service at the server that surveys on urlServer, until Cancel, Close or the end of ctx. The server need not be
// there yet: the client connects in the background, and again whenever the connection is lost.
//
// A service name is valid UTF-8 of 1 to 512 bytes without control characters and "|". Clients may share one: it is in
// the list until the last of them has left.
//
// Several URLs may be given, separated by commas: the client announces itself at each of the servers. The errors match ErrInvalidURL, ErrInvalidService or ErrInvalidArgument.
func (d *Dialer) Client(ctx context.Context, urlServer, service string) (*DiscoveryClient, error) {
	surveys, err := d.parse("urlServer", urlServer)
	if err != nil {
		return nil, err
	}
	return newClient(ctx, surveys, nil, service, d.settings())
}

// ClientWithSub is like Client and also subscribes to the list on urlPubSub, see Peers.
func (d *Dialer) ClientWithSub(ctx context.Context, urlServer, urlPubSub, service string) (*DiscoveryClient, error) {
	surveys, err := d.parse("urlServer", urlServer)
	if err != nil {
		return nil, err
	}
	pubsubs, err := d.parse("urlPubSub", urlPubSub)
	if err != nil {
		return nil, err
	}
	if err := checkDistinct(surveys, pubsubs); err != nil {
		return nil, err
	}
	return newClient(ctx, surveys, pubsubs, service, d.settings())
}

// NewSubscriber subscribes to the list that a server publishes on url, until ctx ends or Close. The server need not be
// there yet: the subscriber connects in the background, and again whenever the connection is lost.
//
// A server of this library is asked for changes of the list. Other publishers
// refuse that at once, and are then asked for whole lists.
//
// Several URLs may be given, separated by commas. What is delivered is the
// union of the newest lists of the servers that are connected. A server that
// has missed three beats (see Options.PollTime) does not count while another
// one speaks, and counts again when its list is complete. Its connection is
// given up after ten beats without a sign of life, but not before 30 seconds.
// A publisher of whole lists has no beat and may be silent for any time.
//
// The errors match ErrInvalidURL or ErrInvalidArgument.
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
	s.log = set.log
	s.start(ctx)
	return s, nil
}

// parse checks the argument arg, URLs to connect to.
func (d *Dialer) parse(arg, urls string) ([]address, error) {
	all, err := parseDialURLs(arg, urls)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if err := checkScheme(arg, urls, a); err != nil {
			return nil, err
		}
		switch {
		case !a.isTLS():
		case d.TLSConfig == nil:
			return nil, fmt.Errorf("%w: Dialer.TLSConfig is nil, %s %q needs it", ErrInvalidArgument, arg, urls)
		case a.serverName() == "" && d.TLSConfig.ServerName == "" && !d.TLSConfig.InsecureSkipVerify:
			return nil, fmt.Errorf("%w: %s %q: no host that the server's certificate must name, and Dialer.TLSConfig has no ServerName",
				ErrInvalidURL, arg, urls)
		}
	}
	return all, nil
}

func (d *Dialer) settings() settings {
	logger := d.Logger
	setDefault(&logger, slog.Default())
	return settings{log: &asyncLog{logger: logger}, tls: d.TLSConfig.Clone()}
}
