package sp

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// An Outage logs that a dialer's server is lost, in one line for each reason
// however often it comes, and in one more line that the server has been
// connected again for a while.
type Outage struct {
	endpoint *endpoint
	url      string

	mu     sync.Mutex    // guards the fields below
	logged loggedReasons // the reasons that were logged; empty without an outage
	last   error         // the newest error; nil if there was none
	wrong  time.Time     // when the server last sent bad input; zero if never
	steady time.Duration // how long a connection must last; zero for steadyMin
	since  time.Time     // when it was connected; zero if it is not
	timer  *time.Timer   // ends the outage; nil if not running

	several sync.Once // logs that the name of the server has several addresses
}

// NewOutage returns an outage for the server at an address. Its timer stops
// with the endpoint.
func NewOutage(s *Socket, a Address) *Outage {
	o := &Outage{endpoint: s.endpoint, url: a.String()}
	context.AfterFunc(s.ctx, o.Disconnected)
	return o
}

// Failed records the error of an attempt, or the reason why a connection is
// given up.
func (o *Outage) Failed(err error) {
	lost := ""
	if o.endpoint.Lost != nil && o.endpoint.pipeCount() == 0 {
		lost = "; " + o.endpoint.Lost() // the owner may hold its mutex when it locks o.mu
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = err
	isFirst := len(o.logged) == 0
	diagnosis := diagnose(err)
	if !o.logged.add(diagnosis + reasonOf(err)) {
		return
	}
	msg := diagnosis + ", retrying"
	if isFirst {
		msg += lost
	}
	o.endpoint.Log.add(slog.LevelWarn, msg, "url", o.url, "error", err)
}

// sentBadInput records that the server has sent bad input, which is logged
// elsewhere. This side is about to close the connection.
func (o *Outage) sentBadInput(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last, o.wrong = err, time.Now()
}

// isToBlame reports whether the server has sent bad input since a time.
func (o *Outage) isToBlame(since time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.wrong.Before(since)
}

// Connected records that there is a connection to the server.
func (o *Outage) Connected() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.since = time.Now()
	o.steady = max(o.steady, steadyMin)
	if len(o.logged) > 0 {
		if o.timer != nil {
			o.timer.Stop()
		}
		o.timer = time.AfterFunc(o.steady, o.end)
	}
}

// Disconnected records that there is none any more.
func (o *Outage) Disconnected() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.timer != nil {
		o.timer.Stop()
		o.timer = nil
	}
	if !o.since.IsZero() && time.Since(o.since) >= steadyMax {
		o.steady = 0
	}
	o.since = time.Time{}
}

// end is called when a connection may have lasted for long enough.
func (o *Outage) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() || time.Since(o.since) < o.steady {
		return // it has just ended
	}
	o.timer, o.logged = nil, nil
	o.steady = min(2*o.steady, steadyMax)
	o.endpoint.Log.add(slog.LevelInfo, o.endpoint.Found, "url", o.url, "last_error", o.last)
}

// foundSeveral logs once that the name of the server has several addresses.
func (o *Outage) foundSeveral(ips []netip.Addr) {
	o.several.Do(func() {
		o.endpoint.Log.add(slog.LevelWarn, "the name has several addresses, of which only one is used: name each server, separated by commas",
			"url", o.url, "addresses", ips)
	})
}

// LastError returns the newest error, or nil if there was none.
func (o *Outage) LastError() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}

// diagnose says in words what the user has to fix: the server or the path to
// it, the URL, or the certificates.
func diagnose(err error) string {
	var certificate *tls.CertificateVerificationError
	var network *net.OpError
	switch {
	case errors.As(err, &certificate):
		return "the server's certificate is not trusted"
	// Package crypto/tls wraps an alert from the other side this way.
	case errors.As(err, &network) && network.Op == "remote error":
		return "the server refuses the TLS connection"
	case errors.Is(err, errNotSP), errors.Is(err, errOtherProtocol), errors.Is(err, errTLS), errors.Is(err, errNoTLS):
		return "something else listens where the server should"
	case errors.Is(err, ErrSilent), errors.Is(err, ErrUnacknowledged), errors.Is(err, errShortLived):
		return "cannot keep a connection to the server"
	case errors.Is(err, wire.ErrOtherList):
		return "the list has to be fetched again"
	}
	return "cannot reach the server"
}
