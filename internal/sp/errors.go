package sp

import (
	"errors"
	"fmt"

	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// ErrInvalidURL is the error for a URL that can never work.
var ErrInvalidURL = errors.New("gopherdiscovery: invalid URL")

// Reasons why a connection is not established.
var (
	errNotSP         = wire.NewReason("the other side does not speak the Scalability Protocols")
	errOtherProtocol = wire.NewReason("the other side speaks a different Scalability Protocol")
	errExchanged     = errors.New("the survey and the pub/sub URL may be exchanged")
	errTLS           = wire.NewReason("the other side speaks TLS, but this side does not")
	errNoTLS         = wire.NewReason("the other side does not speak TLS")
	errHungUp        = wire.NewReason("the other side closed the connection during the handshake")
	errSlowHandshake = wire.NewReason("the other side did not finish the handshake in time")
	errGaveWay       = wire.NewReason("the oldest unfinished handshake made room for a new one")
	errFull          = wire.NewReason("Options.MaxClients connections are already open")
	errSlowCallback  = fmt.Errorf("a callback or a key of Dialer.TLSConfig has not returned in %v", callbackTime)
	errManyCallbacks = wire.NewReason("too many callbacks of the TLSConfig have not returned")
	errNoChanges     = errors.New("the server does not offer subscriptions in changes")
	errShortLived    = errors.New("the server closes each connection at once")
	errNoPipes       = errors.New("on Windows ipc is a Unix socket, and servers of mangos, nanomsg and nng have a named pipe instead")
	errItself        = fmt.Errorf("connected to itself, since nobody listens there: %w", ErrnoRefused)
)

// Reasons why a connection is closed.
var (
	errTooLong = wire.NewReason("message too long")
	errExpired = wire.NewReason("the certificate of the other side has expired")

	// ErrSilent means that a client has had no survey, or a subscriber nothing
	// at all, for too long.
	ErrSilent = errors.New("the server has fallen silent")

	// ErrUnacknowledged means that the answers of a client do not arrive.
	ErrUnacknowledged = errors.New("the server's machine acknowledges nothing")
)

// A Refusal is the error for a name that Authorize refuses.
type Refusal struct {
	Name   string
	Reason error
}

// Error returns the name and the reason.
func (r *Refusal) Error() string { return fmt.Sprintf("service %q: %v", r.Name, r.Reason) }

// Unwrap returns the reason.
func (r *Refusal) Unwrap() error { return r.Reason }
