package gopherdiscovery

import (
	"crypto/tls"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/protocol"
)

// session is the part of a role that handles one connection.
type session interface {
	// Began is called once, before the other methods.
	Began()

	// Received handles a message, which is valid during the call. It is not
	// called concurrently, but may be called after Ended. An error closes the
	// connection, and is counted and logged.
	Received(body []byte) error

	// Say returns the next message to send, or nil if there is none. It is
	// called after [pipe.Offer], when the connection can take a message, and not
	// concurrently. The message must not be changed.
	Say() []byte

	// Ended is called once, when the connection has ended. It must not block.
	Ended()
}

// pipe is an established connection.
type pipe struct {
	core     protocol.Pipe
	link     *link // nil if the transport is not our own
	endpoint *endpoint
	session  session
	line     *line     // nil if accepted
	url      string    // dialed or listened on
	expires  time.Time // when the peer's certificate expires; zero if none
	done     chan struct{}
	ending   atomic.Bool // it cannot be written to any more

	mu      sync.Mutex // guards the fields below
	sending bool       // messages of the session are being sent
	offered bool       // the session may have a message that was not taken yet
}

// newPipe returns a pipe with its session. That is nil if the role does not want
// the connection. The line is nil if it was accepted.
func newPipe(core protocol.Pipe, s *socket, l *line) *pipe {
	p := &pipe{core: core, endpoint: s.endpoint, line: l, done: make(chan struct{})}
	if mp, ok := core.(mangos.Pipe); ok {
		p.url = publicURL(mp.Address())
	}
	p.link, _ = p.option(optionLink).(*link)
	if state := p.state(); state != nil && len(state.PeerCertificates) > 0 {
		p.expires = state.PeerCertificates[0].NotAfter
	}
	core.SetPrivate(p)
	p.session = s.role(p)
	return p
}

// Session returns the role's part of the connection.
func (p *pipe) Session() session { return p.session }

// Line returns the line that the connection belongs to, or nil if it was
// accepted.
func (p *pipe) Line() *line { return p.line }

// URL returns the URL that was dialed or listened on.
func (p *pipe) URL() string { return p.url }

// Done returns a channel that is closed when the connection has ended.
func (p *pipe) Done() <-chan struct{} { return p.done }

// Close closes the connection. It does not wait for its end.
func (p *pipe) Close() { _ = p.core.Close() }

// AwaitTurn waits until few enough others work on lists in this process. The
// caller must call give when it has done its own work.
func (p *pipe) AwaitTurn() (give func()) {
	turns := &p.endpoint.work.lists
	turns.take(false, nil)
	return turns.give
}

// Offer makes the pipe send the session's messages as soon as the connection
// can take them. It never blocks.
func (p *pipe) Offer() {
	p.mu.Lock()
	idle := !p.sending
	p.sending, p.offered = true, true
	p.mu.Unlock()
	if idle && !p.sendAtOnce() && p.endpoint.enter(1) {
		go p.sendRest()
	}
}

// offerAll calls Offer for many, with the help of other goroutines.
func offerAll[S interface{ Offer() }](all []S) {
	helpers := min(len(all)/connsPerSender, runtime.GOMAXPROCS(0)-1)
	share := len(all) / (helpers + 1)
	var group sync.WaitGroup
	for range helpers {
		part := all[:share]
		all = all[share:]
		group.Go(func() {
			for _, s := range part {
				s.Offer()
			}
		})
	}
	for _, s := range all {
		s.Offer()
	}
	group.Wait()
}

// next returns the next message of the session. It returns nil if there is
// none, and then the pipe is no longer sending.
func (p *pipe) next() []byte {
	for {
		p.mu.Lock()
		p.sending = p.offered
		p.offered = false
		over := !p.sending
		p.mu.Unlock()
		if over {
			return nil
		}
		if message := p.session.Say(); message != nil {
			p.mu.Lock()
			p.offered = true // there may be more
			p.mu.Unlock()
			return message
		}
	}
}

// sendAtOnce sends as much as it can without blocking. It returns true if
// nothing is left to send.
func (p *pipe) sendAtOnce() (all bool) {
	if p.link == nil {
		return false
	}
	for {
		message := p.next()
		if message == nil {
			return true
		}
		if p.expired(time.Now()) {
			p.drop(errExpired)
			return true
		}
		sent, err := p.link.trySend(message)
		if err != nil {
			p.endSoon()
			return true
		}
		if !sent {
			return false
		}
	}
}

// sendRest sends everything that sendAtOnce has left. It may block.
func (p *pipe) sendRest() {
	defer p.endpoint.leave()
	if p.link != nil && p.link.sendRest() != nil {
		p.endSoon()
		return
	}
	for {
		message := p.next()
		switch {
		case message == nil:
			return
		case p.expired(time.Now()):
			p.drop(errExpired)
			return
		case p.sendNow(message) != nil:
			return
		}
	}
}

func (p *pipe) expired(now time.Time) bool { return !p.expires.IsZero() && now.After(p.expires) }

// sendNow sends a message. It blocks while the other side does not read, and
// ends the connection if it fails.
func (p *pipe) sendNow(message []byte) error {
	if p.link == nil {
		return p.core.SendMsg(&mangos.Message{Body: message})
	}
	err := p.link.send(nil, message)
	if err != nil {
		p.endSoon()
	}
	return err
}

// endSoon ends a connection that cannot be written to. What the other side has
// sent before is still read, since its goodbye may be among it.
func (p *pipe) endSoon() {
	if p.ending.Swap(true) {
		return
	}
	if p.link.net.SetReadDeadline(time.Now().Add(lastWords)) != nil {
		_ = p.core.Close()
	}
}

// sendLast sends the last message of this side. The connection ends when the
// other side has read it. It blocks for at most patience, but over a transport
// that is not our own until the message is sent or the connection is closed. It
// must not be called while sendNow is in progress.
func (p *pipe) sendLast(message []byte, patience time.Duration) {
	if p.link != nil && p.link.sendLast(message, patience) == nil {
		return
	}
	if p.link == nil {
		_ = p.sendNow(message)
	}
	_ = p.core.Close()
}

// receive passes messages to the session until the connection ends.
func (p *pipe) receive() {
	defer p.endpoint.leave()
	for {
		m := p.core.RecvMsg() // closes the connection when it fails
		if m == nil {
			return
		}
		err := p.take(m.Body)
		m.Free()
		if err != nil {
			p.drop(err)
			return
		}
	}
}

func (p *pipe) take(body []byte) error {
	if len(body) > p.endpoint.limit {
		return tooLong(uint64(len(body)), p.endpoint.limit)
	}
	return p.session.Received(body)
}

// Report logs bad input.
func (p *pipe) Report(msg string, err error, args ...any) {
	p.endpoint.warnings.warn(msg, fmt.Sprint(p.option(mangos.OptionRemoteAddr)), err, args...)
}

// drop closes the connection because it has broken the protocol, or is no
// longer authorized.
func (p *pipe) drop(err error) {
	p.endpoint.broken.Add(1)
	p.Report("connection closed", err)
	_ = p.core.Close()
}

// IsBehind reports whether received bytes wait to be read. Then this process is
// late, and not the other side.
func (p *pipe) IsBehind() bool { return p.link != nil && p.link.unread() }

// timedOut reports whether the connection has ended because nothing has arrived
// at the other side for too long. It reports false if that is unknown.
func (p *pipe) timedOut() bool { return p.link != nil && p.link.timedOut.Load() }

// sent returns how many bytes were sent since the handshakes.
func (p *pipe) sent() int64 {
	if p.link == nil {
		return 0
	}
	return p.link.sent.Load()
}

// acknowledged returns how many of the bytes that were sent since the handshakes
// the system of the other side has acknowledged. It returns false if that is
// unknown.
func (p *pipe) acknowledged() (bytes int64, known bool) {
	if p.link == nil {
		return 0, false
	}
	unacked, known := p.link.unacked()
	return p.link.sent.Load() - int64(unacked), known
}

// LastRead returns when something was last read from a server, which may be
// part of a message. It is zero if that is unknown.
func (p *pipe) LastRead() time.Time {
	if p.link == nil {
		return time.Time{}
	}
	return p.link.made.Add(time.Duration(p.link.lastRead.Load()))
}

// GiveUp closes the connection to a server that has been silent for too long.
// It reports err as the cause of the outage that follows.
func (p *pipe) GiveUp(err error) {
	if p.line != nil {
		p.line.outage.failed(err)
	}
	_ = p.core.Close()
}

// changes returns the form of a subscription. If it is not plain, have is the
// sum of the list that the subscriber has, or nil if it has none.
func (p *pipe) changes() (plain bool, have *uint64) {
	if p.link == nil || !p.link.changes {
		return true, nil
	}
	return false, p.link.have
}

// Beat returns the beat that the server has announced. It is zero in the plain
// form.
func (p *pipe) Beat() time.Duration {
	if p.link == nil {
		return 0
	}
	return p.link.beat
}

// Awaited reports whether the server was down when it was first dialed.
func (p *pipe) Awaited() bool { return p.link != nil && p.link.awaited }

// Hold records the sum of the server's list for the next connection to the
// server.
func (p *pipe) Hold(sum uint64) {
	if p.link != nil {
		p.link.resumption.hold(sum)
	}
}

// Forget records that the list is wrong, so that the next connection does not
// continue from it.
func (p *pipe) Forget() { p.link.resumption.forget() }

// Distrust records that the server has broken the protocol of changes.
func (p *pipe) Distrust() { p.link.resumption.distrust(time.Now()) }

// remoteAddr returns nil if the transport has no network addresses.
func (p *pipe) remoteAddr() net.Addr {
	address, _ := p.option(mangos.OptionRemoteAddr).(net.Addr)
	return address
}

// state returns the state of the TLS connection, or nil without TLS.
func (p *pipe) state() *tls.ConnectionState {
	if p.link != nil {
		return p.link.state()
	}
	if state, ok := p.option(mangos.OptionTLSConnState).(tls.ConnectionState); ok {
		return &state
	}
	return nil
}

// option returns the value of an option, or nil if the transport lacks it.
func (p *pipe) option(name string) any {
	if mp, ok := p.core.(mangos.Pipe); ok {
		if value, err := mp.GetOption(name); err == nil {
			return value
		}
	}
	return nil
}
