package gopherdiscovery

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/transport"
	_ "go.nanomsg.org/mangos/v3/transport/inproc" // registers inproc
)

const (
	// One private scheme carries all URLs to our transport; registering "tcp" would replace it for the whole process.
	privateScheme = "gopherdiscovery"
	optionSocket  = "gopherdiscovery.socket"

	// optionReported is where a connection keeps whether bad input on it has been logged.
	optionReported = "gopherdiscovery.reported"

	// handshakeTime is the deadline for a connection to be made, and for the handshakes on it to be done.
	handshakeTime = 5 * time.Second

	// maxHandshakes is how many handshakes a listener has under way at once.
	maxHandshakes = 2048

	redialMin = 100 * time.Millisecond
	redialMax = time.Second

	// acceptPause is how long a listener waits when the system has no descriptor left for a connection.
	acceptPause = 50 * time.Millisecond
)

var errFull = errors.New("there are Options.MaxClients connections")

// keepAlive finds within 10 seconds that the machine at the other end has vanished without a word. Between two probes and the end of
// a connection there is room for a network that loses one packet in ten.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 3 * time.Second, Interval: time.Second, Count: 7}

func init() { transport.RegisterTransport(carrier{}) }

func privateURL(a address) string { return privateScheme + "://" + a.String() }

// carrier is the transport of all our sockets: SP over tcp, tls+tcp and ipc itself, any other scheme through the transport that
// the program has registered with mangos.
type carrier struct{}

func (carrier) Scheme() string { return privateScheme }

// route finds the socket and address behind a private URL, and for a scheme not ours the transport.
func route(url string, sock mangos.Socket) (*socket, address, transport.Transport, error) {
	v, err := sock.GetOption(optionSocket)
	if err != nil {
		return nil, address{}, nil, err
	}
	scheme, target, _ := strings.Cut(strings.TrimPrefix(url, privateScheme+"://"), "://")
	a := address{scheme: scheme, target: target}
	if a.isOurs() {
		return v.(*socket), a, nil, nil
	}
	t := transport.GetTransport(a.scheme)
	if t == nil {
		return nil, address{}, nil, mangos.ErrBadTran
	}
	return v.(*socket), a, t, nil
}

func (carrier) NewListener(url string, sock mangos.Socket) (mangos.TranListener, error) {
	s, a, t, err := route(url, sock)
	if err != nil {
		return nil, err
	}
	if t == nil {
		return &listener{sock: s, address: a, ready: make(chan *conn)}, nil
	}
	l, err := t.NewListener(a.String(), sock)
	if err != nil {
		return nil, err
	}
	if err := s.configure(l.SetOption); err != nil {
		return nil, err
	}
	return foreignListener{l, s}, nil
}

func (carrier) NewDialer(url string, sock mangos.Socket) (mangos.TranDialer, error) {
	s, a, t, err := route(url, sock)
	if err != nil {
		return nil, err
	}
	d := &dialer{sock: s, address: a, reported: new(atomic.Bool)}
	if t == nil {
		d.connect = d.connectNet
		return d, nil
	}
	d.connect, err = connectForeign(t, a, s, sock)
	return d, err
}

// fixed refuses the options of mangos: ours are in the socket.
type fixed struct{}

func (fixed) SetOption(string, any) error   { return mangos.ErrBadOption }
func (fixed) GetOption(string) (any, error) { return nil, mangos.ErrBadOption }

// listener accepts the connections that the transport makes itself. Handshakes run beside each other, so that nobody waits for another's.
type listener struct {
	fixed
	sock    *socket
	address address
	net     net.Listener
	ready   chan *conn

	mu      sync.Mutex // guards shaking
	shaking []*conn    // handshakes under way, the oldest first
}

func (l *listener) Listen() error {
	ln, err := listenNet(l.sock.ctx, l.address)
	if err != nil {
		return err
	}
	l.net = ln
	if !l.sock.enter(1) {
		_ = ln.Close()
		return mangos.ErrClosed
	}
	go l.acceptAll()
	return nil
}

func (l *listener) acceptAll() {
	defer l.sock.leave()
	for {
		nc, err := l.net.Accept()
		switch {
		case err == nil:
			if c := newConn(nc, l.sock, l.address); c != nil {
				l.begin(c)
			}
		case errors.Is(err, net.ErrClosed):
			return
		default:
			sleep(l.sock.ctx, acceptPause)
		}
	}
}

// begin starts a handshake, and ends the oldest when there are too many: those who say nothing lock nobody out.
func (l *listener) begin(c *conn) {
	if l.sock.full() {
		l.sock.refuse(c, c.remote(), errFull)
		return
	}
	if !l.sock.enter(1) {
		return
	}
	l.mu.Lock()
	if len(l.shaking) == maxHandshakes {
		_ = l.shaking[0].Close()
		l.shaking = slices.Delete(l.shaking, 0, 1)
	}
	l.shaking = append(l.shaking, c)
	l.mu.Unlock()
	go l.shake(c)
}

func (l *listener) shake(c *conn) {
	defer l.sock.leave()
	err := c.handshake(l.secure())
	l.mu.Lock()
	if at := slices.Index(l.shaking, c); at >= 0 {
		l.shaking = slices.Delete(l.shaking, at, at+1)
	}
	l.mu.Unlock()
	if err == nil && !l.sock.admit(c) {
		err = errFull
	}
	if err != nil {
		answerPlain(err)
		l.sock.refuse(c, c.remote(), err)
		return
	}
	select {
	case l.ready <- c:
	case <-l.sock.ctx.Done():
		_ = c.Close()
	}
}

// answerPlain tells who came without TLS what is spoken here: an alert that the handshake has failed (RFC 8446, section 6).
func answerPlain(err error) {
	var record tls.RecordHeaderError
	if errors.As(err, &record) && record.Conn != nil {
		_, _ = record.Conn.Write([]byte{21, 3, 1, 0, 2, 2, 40})
	}
}

// secure is nil without TLS.
func (l *listener) secure() func(net.Conn) *tls.Conn {
	if !l.address.isTLS() {
		return nil
	}
	return func(nc net.Conn) *tls.Conn { return tls.Server(nc, l.sock.tls) }
}

// Accept returns connections whose handshake is done.
func (l *listener) Accept() (mangos.TranPipe, error) {
	select {
	case c := <-l.ready:
		return c.sock.give(c)
	case <-l.sock.ctx.Done():
		return nil, mangos.ErrClosed
	}
}

func (l *listener) Close() error {
	if l.net == nil {
		return nil
	}
	return l.net.Close()
}

func (l *listener) Address() string {
	a := l.address
	if a.isTCP() && l.net != nil {
		a.target = l.net.Addr().String()
	}
	return a.String()
}

// listenNet replaces the socket file of a process that is gone. One that is in use, and any other file, is left alone.
func listenNet(ctx context.Context, a address) (net.Listener, error) {
	lc := net.ListenConfig{KeepAliveConfig: keepAlive}
	if a.isTCP() {
		return lc.Listen(ctx, "tcp", a.target)
	}
	ln, err := lc.Listen(ctx, "unix", a.target)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return ln, err
	}
	stale, statErr := os.Lstat(a.target)
	if statErr != nil || stale.Mode().Type() != os.ModeSocket {
		return nil, err
	}
	d := net.Dialer{Timeout: redialMin}
	if nc, dialErr := d.DialContext(ctx, "unix", a.target); dialErr == nil {
		_ = nc.Close()
		return nil, err
	} else if !errors.Is(dialErr, syscall.ECONNREFUSED) {
		return nil, err
	}
	if now, statErr := os.Lstat(a.target); statErr != nil || !os.SameFile(stale, now) {
		return nil, err // another process was faster
	}
	if err := os.Remove(a.target); err != nil {
		return nil, err
	}
	return lc.Listen(ctx, "unix", a.target)
}

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

// sleep ends early with the context.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
