package sp

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"time"
)

// history is what a dialer remembers of its attempts over the network. It must
// not be used concurrently.
type history struct {
	attempts int
	timeouts int // consecutive attempts whose handshake was too slow
}

// connector connects over our own transports.
type connector struct {
	*redialer
	history  history
	resolver resolver
}

// connect makes one attempt. If a name has several addresses they are tried
// concurrently, up to the end of their handshakes, and the first to succeed is
// used. The next attempt begins with the next address. The error is
// net.ErrClosed if the endpoint is closed.
func (c *connector) connect() (*link, error) {
	if !c.endpoint.Enter(1) {
		return nil, net.ErrClosed
	}
	defer c.endpoint.Exit()
	targets, err := c.resolve()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	timeout := c.history.timeout()
	targets = c.history.order(targets)
	awaited := c.awaits()
	won, err := c.inEitherForm(func(changes bool) (*link, error) {
		return race(ctx, c.endpoint, targets, func(ctx context.Context, target string) (*link, error) {
			return c.dialTarget(ctx, target, terms{timeout: timeout, awaited: awaited, changes: changes})
		})
	})
	c.history.record(err)
	if err == nil {
		c.resolver.forget()
	}
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
		l, err := attempt(true)
		if !errors.Is(err, errNoChanges) {
			return l, err
		}
		r.refuse(time.Now())
	}
	l, err := attempt(false)
	if err != nil {
		r.failPlain()
	}
	return l, err
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

// timeout returns how long the server may be silent during the handshakes of
// the next attempt.
func (h *history) timeout() time.Duration {
	timeout := HandshakeTime
	for range h.timeouts {
		if timeout *= 2; timeout >= maxHandshakeTime {
			return maxHandshakeTime
		}
	}
	return timeout
}

// resolve returns the targets to connect to, at least one.
func (c *connector) resolve() ([]string, error) {
	host, literal := c.address.host()
	if !c.address.isTCP() || host == "" || literal.IsValid() {
		return []string{c.address.target}, nil
	}
	_, port, err := net.SplitHostPort(c.address.target)
	if err != nil {
		return nil, err
	}
	ips, err := c.resolver.resolve(c.ctx, c.endpoint, host, net.DefaultResolver.LookupNetIP)
	if err != nil {
		return nil, err
	}
	var targets []string
	family := make(map[bool]int)
	for _, ip := range ips {
		targets = append(targets, net.JoinHostPort(ip.String(), port))
		family[ip.Is4()]++
	}
	// One address of each family usually means one machine.
	if max(family[true], family[false]) > 1 {
		c.outage.foundSeveral(ips)
	}
	return targets, nil
}

// race tries the targets in turn and returns the first connection. It starts
// the next attempt when one has failed, or has taken attemptDelay. When it
// returns, no other attempt yields a connection any more. If all fail, the
// error is that of the target that got furthest. A single target needs no other
// goroutine.
func race(ctx context.Context, e *endpoint, targets []string, try func(context.Context, string) (*link, error)) (*link, error) {
	if len(targets) == 1 {
		return try(ctx, targets[0])
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	outcomes := make(chan outcome)
	errs := make([]error, len(targets))
	delay := time.NewTimer(0)
	defer delay.Stop()
	for next, failures := 0, 0; failures < len(targets); {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-delay.C:
		case o := <-outcomes:
			if o.err == nil {
				return o.conn, nil
			}
			errs[o.at] = o.err
			failures++
		}
		if next == len(targets) {
			continue
		}
		if !e.Enter(1) {
			return nil, net.ErrClosed
		}
		go func(at int) {
			defer e.Exit()
			conn, err := try(ctx, targets[at])
			outcome{at, conn, err}.pass(ctx, outcomes)
		}(next)
		next++
		delay.Reset(attemptDelay)
	}
	return nil, slices.MaxFunc(errs, func(a, b error) int { return cmp.Compare(progress(a), progress(b)) })
}

// outcome is what came of an attempt at a target.
type outcome struct {
	at   int // the index of the target
	conn *link
	err  error
}

// pass passes an outcome on, unless the race is over.
func (o outcome) pass(ctx context.Context, to chan<- outcome) {
	select {
	case to <- o:
	case <-ctx.Done():
		if o.err == nil {
			_ = o.conn.Close()
		}
	}
}

// progress returns how far an attempt got: 0 if there was no connection, 2 if
// the server only does not offer changes, and otherwise 1.
func progress(err error) int {
	var dial *net.OpError
	switch {
	case errors.Is(err, errNoChanges):
		return 2
	case errors.As(err, &dial) && dial.Op == "dial":
		return 0
	}
	return 1
}

// terms are what an attempt at several addresses has in common.
type terms struct {
	timeout time.Duration // with the server's silence in the handshakes
	awaited bool          // see link
	changes bool          // are asked for
	begunAt time.Time     // when connecting began
}

// dialTarget connects to one address.
func (c *connector) dialTarget(ctx context.Context, target string, t terms) (*link, error) {
	t.begunAt = time.Now()
	nd := net.Dialer{Timeout: connectTime, KeepAliveConfig: KeepAlive}
	network := "unix"
	if c.address.isTCP() {
		network = "tcp"
		nd.Control = resetSelf
		nd.SetMultipathTCP(false) // see listener.bind
	}
	nc, err := nd.DialContext(ctx, network, target)
	if err == nil {
		limit := dialedTimeout
		if c.resumption != nil && !t.changes {
			limit = acceptedTimeout
		}
		err = setUp(nc, limit)
	}
	if err != nil {
		return nil, explainIPC(err, network, runtime.GOOS)
	}
	return c.handshake(ctx, nc, t)
}

// setUp prepares a connection that was dialed, for which the system is to
// notice within the given time that the other end has vanished. If nobody
// listens at a port of this machine, TCP may connect the socket with itself.
// Then setUp closes it, so that the port is free for its server.
func setUp(nc net.Conn, limit time.Duration) error {
	tc, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	if tc.LocalAddr().String() == tc.RemoteAddr().String() {
		_ = tc.SetLinger(0)
		return errors.Join(errItself, tc.Close())
	}
	setUserTimeout(tc, limit)
	_ = tc.SetLinger(-1) // fails if the other end has reset it, as reads will show
	return nil
}

// explainIPC adds to the error of a connection over ipc on Windows what is
// likely to be wrong.
func explainIPC(err error, network, goos string) error {
	if network == "unix" && goos == "windows" {
		return fmt.Errorf("%w; %w", err, errNoPipes)
	}
	return err
}

// handshake performs the handshakes on a new connection, and closes it if they
// fail.
func (c *connector) handshake(ctx context.Context, nc net.Conn, t terms) (*link, error) {
	l := newLink(nc, c.endpoint, c.address)
	if l == nil {
		return nil, net.ErrClosed
	}
	l.dialed = true
	l.resumption, l.changes, l.awaited = c.resumption, t.changes, t.awaited
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	g := &greeting{link: l, timeout: t.timeout, within: WelcomeTime, helloBy: t.begunAt.Add(connectTime + maxRefusalDelay)}
	err := g.shake(c.config())
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// config returns the TLS configuration for the address, or nil without TLS.
func (c *connector) config() *tls.Config {
	if !c.address.IsTLS() {
		return nil
	}
	config := c.endpoint.TLS
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName = c.address.ServerName()
	}
	return config
}
