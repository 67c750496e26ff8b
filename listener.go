package gopherdiscovery

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"slices"
	"time"

	"go.nanomsg.org/mangos/v3"
)

const (
	// acceptPause is how long a listener waits when the system cannot accept a connection, and acceptQuiet how long it must
	// have gone well before such an error is logged again.
	acceptPause = 50 * time.Millisecond
	acceptQuiet = time.Minute

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
	failed  time.Time // when the last connection could not be accepted; for acceptAll
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
			l.cannotAccept(err)
		}
	}
}

// cannotAccept makes the oldest unfinished handshake give way when there is no descriptor left.
func (l *listener) cannotAccept(err error) {
	l.sock.failed.Add(1)
	if time.Since(l.failed) > acceptQuiet {
		l.sock.log.add(slog.LevelError, "cannot accept a connection", "url", l.Address(), "error", err)
	}
	l.failed = time.Now()
	isOutOf := func(errno error) bool { return errors.Is(err, errno) }
	if slices.ContainsFunc(errnosNoDescriptor, isOutOf) && l.sock.handshakes.giveWay(nil, true) {
		return
	}
	sleep(l.sock.ctx, acceptPause)
}

func (l *listener) begin(c *conn) {
	if l.sock.full() {
		l.sock.refuse(c, c.remote(), errFull)
		return
	}
	if !l.sock.enter(1) {
		return
	}
	l.sock.handshakes.add(c)
	go l.shake(c)
}

func (l *listener) shake(c *conn) {
	defer l.sock.leave()
	err := c.handshake(l.secure(), handshakeTime)
	if !l.sock.handshakes.remove(c) {
		err = errGaveWay
	}
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

func listenNet(ctx context.Context, a address) (net.Listener, error) {
	if !a.isTCP() {
		return listenIPC(ctx, a.target)
	}
	lc := net.ListenConfig{KeepAliveConfig: keepAlive}
	return lc.Listen(ctx, "tcp", a.target)
}
