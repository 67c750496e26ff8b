package gopherdiscovery

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"go.nanomsg.org/mangos/v3"
)

const (
	// maxHandshakes is how many handshakes a listener has under way at once.
	maxHandshakes = 2048

	// acceptPause is how long a listener waits when the system has no descriptor left for a connection.
	acceptPause = 50 * time.Millisecond

	// vanishedAfter is how long a connection is kept whose other end acknowledges nothing, or takes nothing. It leaves room for a bad
	// network: a client that is silent is dropped from the list long before.
	vanishedAfter = 30 * time.Second
)

var errFull = errors.New("there are Options.MaxClients connections")

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
			limitUnacknowledged(nc, vanishedAfter)
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
	if !l.sock.enter(1) {
		return
	}
	if l.sock.full() {
		go func() { // a logger may block, and nobody waits for it here
			defer l.sock.leave()
			l.sock.refuse(c, c.remote(), errFull)
		}()
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
	if err == nil {
		err = l.sock.admit(c)
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
