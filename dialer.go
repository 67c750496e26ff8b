package gopherdiscovery

import (
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"go.nanomsg.org/mangos/v3"
)

const (
	redialMin = 100 * time.Millisecond
	redialMax = time.Second
)

// dialer keeps trying until it has a connection. mangos calls Dial again when that one is lost.
type dialer struct {
	fixed
	sock     *socket
	address  address
	connect  func() (mangos.TranPipe, error)
	failures int       // attempts and short-lived connections in a row
	since    time.Time // when the last connection was made; zero before the first
	lost     error     // the last error of the outage that is going on
	reported *atomic.Bool
}

// Dial is never called concurrently.
func (d *dialer) Dial() (mangos.TranPipe, error) {
	if !d.since.IsZero() {
		if time.Since(d.since) > redialMax {
			d.failures = 0
			d.reported = new(atomic.Bool)
		}
		d.pause()
	}
	for d.sock.ctx.Err() == nil {
		p, err := d.connect()
		if err == nil {
			d.succeeded()
			return d.sock.give(p)
		}
		d.failed(err)
		d.pause()
	}
	return nil, mangos.ErrClosed
}

func (d *dialer) pause() {
	sleep(d.sock.ctx, redialDelay(d.failures, rand.Float64()))
	d.failures++
}

// redialDelay is the pause before the next attempt: it grows by half from redialMin to redialMax, and chance, from 0 to
// 1, takes away up to a quarter, so that those who lost the same server do not come back in step.
func redialDelay(failures int, chance float64) time.Duration {
	delay := float64(redialMin)
	for range failures {
		if delay *= 1.5; delay >= float64(redialMax) {
			delay = float64(redialMax)
			break
		}
	}
	return time.Duration(delay * (1 - chance/4))
}

// failed logs the first error of an outage, and one that says something else than the last did.
func (d *dialer) failed(err error) {
	if d.sock.ctx.Err() != nil {
		return
	}
	known := d.lost != nil && outage(d.lost) == outage(err)
	d.lost = err
	if !known {
		d.sock.logger.Warn("gopherdiscovery: "+outage(err)+", retrying", "url", d.address.String(), "error", err)
	}
}

// outage tells apart what its user has to mend: the server or the way to it, the URL, or the certificates.
func outage(err error) string {
	var certificate *tls.CertificateVerificationError
	var network *net.OpError
	switch {
	case errors.As(err, &certificate):
		return "the server's certificate is not trusted"
	case errors.As(err, &network) && network.Op == "remote error": // so crypto/tls wraps an alert
		return "the server refuses the TLS connection"
	case errors.Is(err, errNotSP), errors.Is(err, errOtherProtocol), errors.Is(err, errTLS), errors.Is(err, errNoTLS):
		return "something else listens where the server should"
	}
	return "cannot reach the server"
}

func (d *dialer) succeeded() {
	if d.lost != nil {
		d.sock.logger.Info("gopherdiscovery: server reached", "url", d.address.String(), "last error", d.lost)
	}
	d.lost = nil
	d.since = time.Now()
}

func (d *dialer) connectNet() (mangos.TranPipe, error) {
	if !d.sock.enter(1) {
		return nil, mangos.ErrClosed
	}
	defer d.sock.leave()
	network := "tcp"
	if !d.address.isTCP() {
		network = "unix"
	}
	nd := net.Dialer{Timeout: handshakeTime, KeepAliveConfig: keepAlive}
	nc, err := nd.DialContext(d.sock.ctx, network, d.address.target)
	if err != nil {
		return nil, err
	}
	c := newConn(nc, d.sock, d.address)
	if c == nil {
		return nil, mangos.ErrClosed
	}
	c.reported = d.reported
	if err := c.handshake(d.secure()); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// secure is nil without TLS.
func (d *dialer) secure() func(net.Conn) *tls.Conn {
	if !d.address.isTLS() {
		return nil
	}
	config := d.sock.tls
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName, _, _ = net.SplitHostPort(d.address.target)
	}
	return func(nc net.Conn) *tls.Conn { return tls.Client(nc, config) }
}
