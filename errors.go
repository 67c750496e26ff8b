package gopherdiscovery

import (
	"errors"
	"fmt"

	"github.com/dahernan/gopherdiscovery/internal/membership"
)

// Errors that callers can match with [errors.Is].
var (
	// ErrInvalidURL is matched by the error for a URL that can never work. The
	// URL is malformed, has no port or an impossible one, names a scheme that
	// no transport serves, or is given twice.
	ErrInvalidURL = errors.New("gopherdiscovery: invalid URL")

	// ErrInvalidService is matched by the error for a service name that cannot
	// be announced. See [Dialer.Client] for the names that can.
	ErrInvalidService = errors.New("gopherdiscovery: invalid service name")

	// ErrInvalidArgument is matched by the error for an argument that is
	// neither a URL nor a service name: a nil context, a value in [Options] that
	// is negative or too short, or a missing TLSConfig that a tls+tcp:// URL
	// needs.
	ErrInvalidArgument = errors.New("gopherdiscovery: invalid argument")

	// ErrNoSubscriber is returned by [DiscoveryClient.Peers] for a client that
	// was created without a subscription.
	ErrNoSubscriber = errors.New("gopherdiscovery: the client has no subscription, see ClientWithSub")
)

// Reasons why a connection is not established.
var (
	errNotSP         = errors.New("the other side does not speak the Scalability Protocols")
	errOtherProtocol = errors.New("the other side speaks a different Scalability Protocol")
	errTLS           = errors.New("the other side speaks TLS, but this side does not")
	errNoTLS         = errors.New("the other side does not speak TLS")
	errHungUp        = errors.New("the other side closed the connection during the handshake")
	errSlowHandshake = errors.New("the other side did not finish the handshake in time")
	errGaveWay       = errors.New("the oldest unfinished handshake made room for a new one")
	errFull          = errors.New("Options.MaxClients connections are already open")
	errNoChanges     = errors.New("the server does not offer subscriptions in changes")
	errShortLived    = errors.New("the server closes each connection at once")
	errNoPipes       = errors.New("on Windows ipc is a Unix socket, and servers of mangos, nanomsg and nng have a named pipe instead")
	errItself        = fmt.Errorf("connected to itself, since nobody listens there: %w", errnoRefused)
)

// Reasons why a connection is closed, or a message dropped.
var (
	errTooLong        = errors.New("message too long")
	errExpired        = errors.New("the certificate of the other side has expired")
	errSilent         = errors.New("the server has fallen silent")
	errUnacknowledged = errors.New("the server's machine acknowledges nothing")
	errWithdrawn      = errors.New("no longer authorized")
	errTooSlow        = errors.New("the subscriber reads too slowly, and too much waits for it and others")
	errEmpty          = errors.New("empty")
	errNameTooLong    = fmt.Errorf("longer than %d bytes", maxServiceLen)
	errNotUTF8        = errors.New("not valid UTF-8")
	errSeparator      = fmt.Errorf("contains %q", separator)
	errControl        = errors.New("contains a control character")
	errNoSurveyID     = errors.New("no survey id")
	errUnknownSurvey  = errors.New("no such survey was sent")
	errMalformed      = errors.New("malformed message")
	errListTooLong    = fmt.Errorf("the list is longer than %d bytes", membership.MaxListLen)
	errWrongSum       = errors.New("the message does not apply to the list that was sent before")
	errInvalidNames   = errors.New("the list has invalid names")
	errOtherList      = errors.New("the subscriber's list is not the server's, although it has the same sum")
	errSubscriberSent = errors.New("unexpected message from a subscriber")
	errTooManyHops    = fmt.Errorf("more than %d hops", maxHops)
	errTooManyAnswers = fmt.Errorf("more than %d messages since the last survey", maxAnswers)
)

// reasons are the errors that one remote host is likely to cause again.
var reasons = []error{
	errNotSP, errOtherProtocol, errTLS, errNoTLS, errHungUp, errSlowHandshake, errGaveWay, errFull,
	errTooLong, errExpired, errWithdrawn, errTooSlow, errEmpty, errNameTooLong, errNotUTF8, errSeparator, errControl,
	errNoSurveyID, errUnknownSurvey, errMalformed,
	errSubscriberSent, errTooManyHops, errTooManyAnswers,
}
