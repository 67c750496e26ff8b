package gopherdiscovery

import (
	"errors"
	"fmt"
)

// Errors of arguments, and of what a client does not have.
var (
	// ErrInvalidURL is matched by the error for a URL that can never work: it is malformed, has no or an impossible port,
	// or names a scheme that no transport serves.
	ErrInvalidURL = errors.New("gopherdiscovery: invalid URL")

	// ErrInvalidService is matched by the error for a service name that cannot be announced.
	ErrInvalidService = errors.New("gopherdiscovery: invalid service name")

	// ErrInvalidArgument is matched by the error for an argument that is neither a URL nor a service name: a negative
	// duration in [Options], or a nil context.
	ErrInvalidArgument = errors.New("gopherdiscovery: invalid argument")

	// ErrNoSubscriber is what [DiscoveryClient.Peers] returns for a client that was made without a subscription.
	ErrNoSubscriber = errors.New("gopherdiscovery: the client has no subscription, see ClientWithSub")
)

// Why a connection is not made.
var (
	errNotSP            = errors.New("the other side does not speak the Scalability Protocols")
	errOtherProtocol    = errors.New("the other side speaks another of the Scalability Protocols")
	errTLS              = errors.New("the other side speaks TLS, this one does not")
	errNoTLS            = errors.New("the other side does not speak TLS")
	errHungUp           = errors.New("the other side closed the connection during the handshake")
	errHandshakeTimeout = errors.New("the other side did not finish the handshake in time")
	errGaveWay          = errors.New("the oldest unfinished handshake gives way to a new one")
	errFull             = errors.New("there are Options.MaxClients connections")
	errNoChanges        = errors.New("the server does not offer the list in changes")
	errShortLived       = errors.New("the server closes each connection at once")
)

// Why a connection is closed, or a message dropped.
var (
	errTooLong        = errors.New("message too long")
	errExpired        = errors.New("the certificate of the other side has expired")
	errSilent         = errors.New("the server has fallen silent")
	errWithdrawn      = errors.New("the connection may not announce it any more")
	errEmpty          = errors.New("empty")
	errNoSurveyID     = errors.New("no survey id")
	errUnknownSurvey  = errors.New("no such survey was sent")
	errMalformed      = errors.New("malformed message")
	errListTooLong    = fmt.Errorf("a list of more than %d bytes", maxListLen)
	errWrongSum       = errors.New("the message is not about the list that was sent before")
	errSubscriberSent = errors.New("a message from a subscriber")
	errTooManyHops    = fmt.Errorf("more than %d hops", maxHops)
	errTooManyNames   = fmt.Errorf("more than %d names on one connection", maxNames)
	errTooManyAnswers = fmt.Errorf("more than %d messages since the last survey", maxAnswers)
	errListFull       = fmt.Errorf("the list is full: %d names or %d bytes", maxTotalNames, maxListLen)
)
