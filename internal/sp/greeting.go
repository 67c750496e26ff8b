package sp

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// greeting is the beginning of a link: the handshakes of TLS and SP, and of a
// subscription in changes.
type greeting struct {
	*link
	timeout    time.Duration // with the silence of the other side, in total
	within     time.Duration // that of a server until WELCOME
	helloBy    time.Time     // a server may not have waited for a later hello
	isLate     bool          // the hello was sent later
	readBy     time.Time     // the deadline for the other side
	extensions int           // of readBy, so far
	waited     time.Duration // for slots, in the handshake of TLS
}

// shake performs all handshakes, that of TLS if config is not nil.
func (g *greeting) shake(config *tls.Config) error {
	if config != nil {
		if err := g.shakeTLS(config); err != nil {
			return explain(err)
		}
		g.helloBy = time.Now().Add(maxRefusalDelay)
	}
	if err := g.setReadDeadline(g.timeout); err != nil {
		return err
	}
	if config == nil {
		protect(&g.protectedUntil, helloGrace)
	}
	g.reader = bufio.NewReaderSize(g, readBuffer)
	if err := g.exchangeHello(); err != nil {
		return explain(err)
	}
	if g.changes {
		open := g.welcome
		if g.dialed {
			open = g.subscribe
		}
		if err := open(); err != nil {
			return err
		}
	}
	g.protectedUntil.Store(math.MaxInt64)
	g.nonblocking = newTryWriter(g.conn)
	return g.conn.SetDeadline(time.Time{})
}

// shakeTLS performs the TLS handshake. It takes the time of the other side from
// timeout, but leaves at least minHelloTime.
func (g *greeting) shakeTLS(config *tls.Config) error {
	hs := &tlsHandshakeConn{Conn: g.conn, endpoint: g.endpoint, dialed: g.dialed, protectedUntil: &g.protectedUntil, sent: &g.sent, remaining: g.timeout}
	defer func() {
		hs.end()
		g.waited = hs.waited
	}()
	var tc *tls.Conn
	if !g.dialed {
		tc = tls.Server(hs, config)
	} else {
		tc = tls.Client(hs, hs.withoutSlots(config))
	}
	if err := tc.Handshake(); err != nil {
		return cmp.Or(hs.callErr, err)
	}
	g.conn, g.timeout = tc, max(hs.remaining, minHelloTime)
	return nil
}

// exchangeHello exchanges the 8 bytes with which each side of an SP connection
// begins.
func (g *greeting) exchangeHello() error {
	p := g.endpoint.Protocol
	self := p.self
	if g.changes {
		self = changesProtocol
	}
	hello := [8]byte{0, 'S', 'P', 0}
	binary.BigEndian.PutUint16(hello[4:], self)
	if err := g.setWriteDeadline(); err != nil {
		return err
	}
	if _, err := g.conn.Write(hello[:]); err != nil {
		return err
	}
	g.isLate = time.Now().After(g.helloBy)
	var got [8]byte
	if n, err := io.ReadFull(g.reader, got[:]); err != nil {
		if isTLSRecord(got[:n]) {
			return errTLS
		}
		return err
	}
	if isTLSRecord(got[:]) {
		return errTLS
	}
	if [4]byte(got[:4]) != [4]byte{0, 'S', 'P', 0} || got[6] != 0 || got[7] != 0 {
		return errNotSP
	}
	theirs := binary.BigEndian.Uint16(got[4:])
	if theirs == changesProtocol && p.changes && !g.dialed {
		g.changes = true
		return nil
	}
	if theirs == p.peer {
		return nil
	}
	err := fmt.Errorf("%w: it speaks %#02x, want %#02x (%s)", errOtherProtocol, theirs, p.peer, p.peerName)
	if theirs == p.exchanged || theirs == changesProtocol && !p.changes {
		err = fmt.Errorf("%w; %w", err, errExchanged)
	}
	return err
}

// welcome starts a subscription in changes on the server's side. The subscriber
// gets a new deadline for its answer.
func (g *greeting) welcome() error {
	protect(&g.protectedUntil, begunGrace)
	if err := g.sendShort(wire.EncodeWelcome(g.endpoint.Beat)); err != nil {
		return explain(err)
	}
	body, err := g.receiveShort(g.timeout)
	if err == nil {
		g.have, err = wire.DecodeHave(body)
	}
	return explain(err)
}

// subscribe starts a subscription in changes on the subscriber's side. The
// error matches errNoChanges if the publisher sends no WELCOME. One that closes
// the connection late may just be busy, and if the hello was late, the server
// may have waited for it as long as it does.
func (g *greeting) subscribe() error {
	begun := time.Now()
	body, err := g.receiveShort(g.within)
	if err == nil {
		g.beat, err = wire.DecodeWelcome(body)
	}
	if err = explain(err); errors.Is(err, errHungUp) && (g.isLate || time.Since(begun) > maxRefusalDelay) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errNoChanges, err)
	}
	return explain(g.sendShort(wire.EncodeHave(g.resumption.have())))
}

// setReadDeadline sets for how long the other side may be silent.
func (g *greeting) setReadDeadline(timeout time.Duration) error {
	g.readBy = time.Now().Add(timeout)
	return g.conn.SetReadDeadline(g.readBy)
}

// setWriteDeadline gives the next write of the handshake a full HandshakeTime,
// even if this process is late.
func (g *greeting) setWriteDeadline() error {
	return g.conn.SetWriteDeadline(time.Now().Add(HandshakeTime))
}

// sendShort sends a message that is part of the handshake.
func (g *greeting) sendShort(body []byte) error {
	if err := g.setWriteDeadline(); err != nil {
		return err
	}
	return g.send(nil, body)
}

// receiveShort receives a message that is part of the handshake.
func (g *greeting) receiveShort(timeout time.Duration) ([]byte, error) {
	if err := g.setReadDeadline(timeout); err != nil {
		return nil, err
	}
	length, err := g.receiveLength()
	if err != nil {
		return nil, err
	}
	if length > maxHandshakeMessage {
		return nil, wire.ErrMalformed
	}
	body := make([]byte, length)
	return body, g.read(body)
}

// Read reads from the link. If the deadline has long passed although unread
// bytes have arrived, this process is late and not the other side. Read then
// extends the deadline, at most maxExtensions times. Bytes that arrive at the
// last moment are read, but extend nothing.
func (g *greeting) Read(p []byte) (int, error) {
	for {
		n, err := g.link.Read(p)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || g.extensions == maxExtensions || !g.unread() {
			return n, err
		}
		g.extensions++
		extension := HandshakeTime
		if time.Since(g.readBy) < lateAfter {
			extension = lateAfter
		}
		if err := g.setReadDeadline(extension); err != nil {
			return 0, err
		}
	}
}

// isTLSRecord reports whether bytes start with the record of a TLS alert or
// handshake message (RFC 8446, section 5.1).
func isTLSRecord(bytes []byte) bool {
	const alert, handshake, major = 21, 22, 3
	return len(bytes) >= 2 && (bytes[0] == alert || bytes[0] == handshake) && bytes[1] == major
}

// explain names the likely cause of an error during a handshake.
func explain(err error) error {
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &record):
		return fmt.Errorf("%w: %w", errNoTLS, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, ErrnoReset), errors.Is(err, errnoPipe):
		return fmt.Errorf("%w: %w", errHungUp, err)
	case errors.Is(err, net.ErrClosed):
		return errGaveWay
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: %w", errSlowHandshake, err)
	}
	return err
}
