package sp

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"math"
	"net"
	"slices"
	"time"
)

// listener accepts connections over our own transports. Handshakes run
// concurrently, so that no connection waits for the handshake of another.
type listener struct {
	endpoint *endpoint
	address  Address
	ln       net.Listener
	ready    chan *link
	failedAt time.Time     // when Accept failed last; used only by acceptAll
	logged   loggedReasons // why, as far as it was logged; used only by acceptAll
}

func newListener(e *endpoint, a Address) *listener {
	return &listener{endpoint: e, address: a, ready: make(chan *link)}
}

// listen binds the address and starts to accept connections. It returns
// net.ErrClosed if the endpoint is closed.
func (l *listener) listen() error {
	ln, err := l.bind(l.endpoint.ctx)
	if err != nil {
		return err
	}
	return l.serve(ln)
}

// serve starts to accept the connections of ln. If the endpoint is closed it
// closes ln and returns net.ErrClosed.
func (l *listener) serve(ln net.Listener) error {
	l.ln = ln
	if !l.endpoint.Enter(1) {
		_ = ln.Close()
		return net.ErrClosed
	}
	go l.acceptAll()
	return nil
}

// accept returns the next connection whose handshake is complete. It returns
// net.ErrClosed when the endpoint is closed.
func (l *listener) accept() (*link, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.endpoint.ctx.Done():
		return nil, net.ErrClosed
	}
}

func (l *listener) close() error {
	if l.ln == nil {
		return nil
	}
	stopListening(l.ln)
	return l.ln.Close()
}

// url returns the address as bound.
func (l *listener) url() string {
	if !l.address.isTCP() || l.ln == nil {
		return l.address.String()
	}
	return Address{l.address.scheme, l.ln.Addr().String()}.String()
}

func (l *listener) acceptAll() {
	defer l.endpoint.Exit()
	for {
		nc, err := l.ln.Accept()
		switch {
		case err == nil:
			if c := newLink(nc, l.endpoint, l.address); c != nil {
				l.begin(c)
			}
		case l.endpoint.ctx.Err() != nil, errors.Is(err, net.ErrClosed):
			return
		default:
			l.cannotAccept(err)
		}
	}
}

// cannotAccept handles a failure to accept a connection. If no descriptor is
// left, an unfinished handshake gives way. Otherwise it pauses.
func (l *listener) cannotAccept(err error) {
	l.endpoint.Failed.Add(1)
	if time.Since(l.failedAt) > acceptQuiet {
		l.logged = nil
	}
	if l.logged.add(reasonOf(err)) {
		l.endpoint.Log.add(slog.LevelError, "cannot accept a connection", "url", l.url(), "error", err)
	}
	l.failedAt = time.Now()
	isErr := func(errno error) bool { return errors.Is(err, errno) }
	if slices.ContainsFunc(errnosNoDescriptor, isErr) && l.endpoint.Handshakes.giveWay("", true) {
		return
	}
	sleep(l.endpoint.ctx, acceptPause)
}

func (l *listener) begin(c *link) {
	if l.endpoint.full() {
		l.endpoint.refuse(c, c.remote(), errFull)
		return
	}
	if !l.endpoint.Enter(1) {
		return
	}
	c.protectedUntil.Store(math.MaxInt64) // until this process gets around to it
	s := &handshake{conn: c, url: l.url(), protectedUntil: &c.protectedUntil}
	l.endpoint.Handshakes.add(l.endpoint.ctx, s)
	go l.handshake(&greeting{link: c, timeout: HandshakeTime}, s)
}

func (l *listener) handshake(g *greeting, s *handshake) {
	defer l.endpoint.Exit()
	var config *tls.Config
	if l.address.IsTLS() {
		config = l.endpoint.TLS
	}
	waited := time.Since(g.connectedAt) // for this goroutine to run
	err := g.shake(config)
	if waited > longStart || g.waited > LongWait {
		l.endpoint.Handshakes.wasLate(s.url)
	}
	if !l.endpoint.Handshakes.remove(s) {
		err = errGaveWay
	}
	if err == nil {
		err = l.endpoint.admit(g.link)
	}
	if err != nil {
		sendTLSAlert(err)
		l.endpoint.refuse(g.link, g.remote(), err)
		return
	}
	select {
	case l.ready <- g.link:
	case <-l.endpoint.ctx.Done():
		_ = g.Close()
	}
}

// sendTLSAlert tells a client that does not speak TLS that the server does. It
// sends an alert that the handshake has failed (RFC 8446, section 6).
func sendTLSAlert(err error) {
	var record tls.RecordHeaderError
	if errors.As(err, &record) && record.Conn != nil {
		_, _ = record.Conn.Write([]byte{21, 3, 1, 0, 2, 2, 40})
	}
}

func (l *listener) bind(ctx context.Context) (net.Listener, error) {
	if !l.address.isTCP() {
		return listenIPC(ctx, l.endpoint.Log, l.address.target)
	}
	lc := listenConfig()
	// On Linux neither keepalive nor a user timeout ends a connection of
	// Multipath TCP whose other end has vanished.
	lc.SetMultipathTCP(false)
	return lc.Listen(ctx, "tcp", l.address.target)
}
