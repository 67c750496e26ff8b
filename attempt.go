package gopherdiscovery

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"slices"
	"time"
)

// history is what a dialer remembers of its attempts over the network. It must
// not be used concurrently.
type history struct {
	attempts int
	timeouts int  // consecutive attempts whose handshake was too slow
	warned   bool // it was logged that a name has several addresses
}

// connector connects over our own transports.
type connector struct {
	*redialer
	history history
}

// connect makes one attempt. If a name has several addresses they are tried
// concurrently, up to the end of their handshakes, and the first to succeed is
// used. The next attempt begins with the next address. The error is
// net.ErrClosed if the endpoint is closed.
func (c *connector) connect() (*link, error) {
	if !c.endpoint.enter(1) {
		return nil, net.ErrClosed
	}
	defer c.endpoint.leave()
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	targets, err := c.resolve(ctx)
	if err != nil {
		return nil, err
	}
	patience := c.history.patience()
	targets = c.history.order(targets)
	won, err := c.inEitherForm(func(changes bool) (*link, error) {
		return race(ctx, targets, func(ctx context.Context, target string) (*link, error) {
			return c.try(ctx, target, patience, changes)
		})
	})
	c.history.record(err)
	return won, err
}

// inEitherForm makes an attempt. If the server refuses to send changes, as all
// servers except ours do, it makes a second one at once.
func (c *connector) inEitherForm(attempt func(changes bool) (*link, error)) (*link, error) {
	r := c.resumption
	if r == nil {
		return attempt(false)
	}
	if !r.isPlain(time.Now()) {
		made, err := attempt(true)
		if !errors.Is(err, errNoChanges) {
			return made, err
		}
		r.refuse(time.Now())
	}
	made, err := attempt(false)
	if err != nil {
		r.failPlain()
	}
	return made, err
}

// order returns the targets of the next attempt, rotated so that each attempt
// begins with the next one.
func (h *history) order(targets []string) []string {
	first := h.attempts % len(targets)
	h.attempts++
	return slices.Concat(targets[first:], targets[:first])
}

// record records the result of an attempt.
func (h *history) record(err error) {
	if errors.Is(err, errSlowHandshake) {
		h.timeouts++
	} else {
		h.timeouts = 0
	}
}

// patience returns how long the server may be silent during the handshakes of
// the next attempt.
func (h *history) patience() time.Duration {
	patience := handshakeTime
	for range h.timeouts {
		if patience *= 2; patience >= maxPatience {
			return maxPatience
		}
	}
	return patience
}

// resolve returns the targets to connect to, at least one.
func (c *connector) resolve(ctx context.Context) ([]string, error) {
	host, literal := c.address.host()
	if !c.address.isTCP() || host == "" || literal.IsValid() {
		return []string{c.address.target}, nil
	}
	_, port, err := net.SplitHostPort(c.address.target)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	if len(ips) == 0 {
		return nil, &net.DNSError{Err: "no address", Name: host, IsNotFound: true}
	}
	var targets []string
	families := make(map[bool]int)
	for _, ip := range ips {
		ip = ip.Unmap()
		target := net.JoinHostPort(ip.String(), port)
		if !slices.Contains(targets, target) {
			targets = append(targets, target)
			families[ip.Is4()]++
		}
	}
	// One address of each family usually means one machine.
	if max(families[true], families[false]) > 1 && !c.history.warned {
		c.history.warned = true
		c.endpoint.log.add(slog.LevelWarn, "the name has several addresses, of which only one is used: name each server, separated by commas",
			"url", c.address.String(), "addresses", ips)
	}
	return targets, nil
}

// race tries the targets in turn and returns the first connection. It starts
// the next attempt when one has failed, or has taken attemptDelay. When it
// returns, no attempt is in progress. If all fail, the error is that of the
// first target that does not offer changes, or else that of the first target.
func race(ctx context.Context, targets []string, try func(context.Context, string) (*link, error)) (*link, error) {
	if len(targets) == 1 {
		return try(ctx, targets[0])
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		at   int
		conn *link
		err  error
	}
	results := make(chan result)
	errs := make([]error, len(targets))
	var winner *link
	next, running := 0, 0
	delay := time.NewTimer(0)
	defer delay.Stop()
	for next < len(targets) || running > 0 {
		start := false
		select {
		case <-delay.C:
			start = true
		case r := <-results:
			running--
			switch {
			case r.err != nil:
				errs[r.at] = r.err
				start = true
			case winner == nil:
				winner = r.conn
				next = len(targets)
				cancel()
			default:
				_ = r.conn.Close()
			}
		}
		if start && next < len(targets) {
			at := next
			next++
			running++
			go func() {
				c, err := try(ctx, targets[at])
				results <- result{at, c, err}
			}()
			delay.Reset(attemptDelay)
		}
	}
	if winner == nil {
		refused := func(err error) bool { return errors.Is(err, errNoChanges) }
		return nil, errs[max(slices.IndexFunc(errs, refused), 0)]
	}
	return winner, nil
}

// try connects to one address.
func (c *connector) try(ctx context.Context, target string, patience time.Duration, changes bool) (*link, error) {
	network := "tcp"
	if !c.address.isTCP() {
		network = "unix"
	}
	nd := net.Dialer{Timeout: connectTime, KeepAliveConfig: keepAlive}
	nc, err := nd.DialContext(ctx, network, target)
	if err != nil {
		return nil, err
	}
	setUserTimeout(nc, dialedTimeout)
	return c.handshake(ctx, nc, patience, changes)
}

// handshake performs the handshakes on a new connection, and closes it if they
// fail.
func (c *connector) handshake(ctx context.Context, nc net.Conn, patience time.Duration, changes bool) (*link, error) {
	made := newLink(nc, c.endpoint, c.address)
	if made == nil {
		return nil, net.ErrClosed
	}
	made.reported, made.outage = c.reported, c.outage
	made.resumption, made.changes, made.awaited = c.resumption, changes, c.awaits()
	stop := context.AfterFunc(ctx, func() { _ = made.Close() })
	err := made.handshake(c.config(), patience)
	if changes && err == nil {
		err = made.subscribe(welcomeTime)
	}
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = made.Close()
		return nil, err
	}
	return made, nil
}

// config returns the TLS configuration for the address, or nil without TLS.
func (c *connector) config() *tls.Config {
	if !c.address.isTLS() {
		return nil
	}
	config := c.endpoint.tls
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName = c.address.serverName()
	}
	return config
}
