package gopherdiscovery

import (
	"errors"

	"github.com/dahernan/gopherdiscovery/internal/sp"
	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// Errors that callers can match with [errors.Is].
var (
	// ErrInvalidURL is matched by the error for a URL that can never work. The
	// URL is malformed, has no port or an impossible one, names a scheme that
	// no transport serves, or is given twice.
	ErrInvalidURL = sp.ErrInvalidURL

	// ErrInvalidService is matched by the error for a service name that cannot
	// be announced. See [Dialer.Client] for the names that can.
	ErrInvalidService = errors.New("gopherdiscovery: invalid service name")

	// ErrInvalidArgument is matched by the error for an argument that is
	// neither a URL nor a service name: a nil context, a value in [Options]
	// that is negative or too short, or a missing TLSConfig that a tls+tcp://
	// URL needs.
	ErrInvalidArgument = errors.New("gopherdiscovery: invalid argument")

	// ErrNoSubscriber is returned by [DiscoveryClient.Peers] for a client that
	// was created without a subscription.
	ErrNoSubscriber = errors.New("gopherdiscovery: the client has no subscription, see ClientWithSub")
)

// Reasons why a connection is closed, or a message dropped.
var (
	errWithdrawn      = wire.NewReason("no longer authorized")
	errTooSlow        = wire.NewReason("the subscriber reads too slowly, and too much waits for it and others")
	errUnknownSurvey  = wire.NewReason("no such survey was sent")
	errInvalidNames   = errors.New("the list has invalid names")
	errSubscriberSent = wire.NewReason("unexpected message from a subscriber")
	errTooManyAnswers = wire.NewReason("more than %d messages since the last survey", maxAnswers)
)
