package sp

import (
	"crypto/tls"
	"fmt"
	"net"
	"runtime"
	"sync"
	"time"

	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/protocol"
)

// A Session is the part of a role that handles one connection.
type Session interface {
	// Began is called once, before the other methods.
	Began()

	// Received handles a message, which is valid during the call. It is not
	// called concurrently, but may be called after Ended. An error closes the
	// connection, and is counted and logged.
	Received(body []byte) error

	// Say returns the next message to send, or nil if there is none. It is
	// called after [Pipe.Offer], when the connection can take a message, and
	// not concurrently. The message must not be changed.
	Say() []byte

	// Ended is called once, when the connection has ended. It must not block.
	Ended()
}

// A Pipe is an established connection. Its methods may be called concurrently,
// except as they say.
type Pipe struct {
	core     protocol.Pipe
	link     *link // nil if the transport is not our own
	endpoint *endpoint
	session  Session
	line     *Line     // nil if accepted
	url      string    // dialed or listened on
	expires  time.Time // when the peer's certificate expires; zero if none
	done     chan struct{}

	mu      sync.Mutex  // guards the fields below
	sending bool        // messages of the session are being sent
	offered bool        // the session may have a message that was not taken yet
	ending  *time.Timer // ends the connection, which cannot be written to; nil if not set
}

// NewPipe returns a pipe with its session. That is nil if the role does not
// want the connection. The line is nil if it was accepted.
func NewPipe(core protocol.Pipe, s *Socket, l *Line) *Pipe {
	p := &Pipe{core: core, endpoint: s.endpoint, line: l, done: make(chan struct{})}
	if mp, ok := core.(mangos.Pipe); ok {
		p.url = publicURL(mp.Address())
	}
	p.link, _ = p.option(optionLink).(*link)
	if state := p.TLS(); state != nil && len(state.PeerCertificates) > 0 {
		p.expires = state.PeerCertificates[0].NotAfter
	}
	core.SetPrivate(p)
	p.session = s.role(p)
	return p
}

// Session returns the role's part of the connection.
func (p *Pipe) Session() Session { return p.session }

// Line returns the line that the connection belongs to, or nil if it was
// accepted.
func (p *Pipe) Line() *Line { return p.line }

// URL returns the URL that was dialed or listened on.
func (p *Pipe) URL() string { return p.url }

// Done returns a channel that is closed when the connection has ended.
func (p *Pipe) Done() <-chan struct{} { return p.done }

// Close closes the connection. It does not wait for its end.
func (p *Pipe) Close() { _ = p.core.Close() }

// Offer makes the pipe send the session's messages as soon as the connection
// can take them. It never blocks.
func (p *Pipe) Offer() {
	p.mu.Lock()
	idle := !p.sending
	p.sending, p.offered = true, true
	p.mu.Unlock()
	if idle && !p.sendAtOnce() && p.endpoint.Enter(1) {
		go p.sendRest()
	}
}

// OfferAll calls Offer for many, with the help of other goroutines.
func OfferAll[S interface{ Offer() }](all []S) {
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
func (p *Pipe) next() []byte {
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
func (p *Pipe) sendAtOnce() (all bool) {
	if p.link == nil {
		return false
	}
	for {
		message := p.next()
		if message == nil {
			return true
		}
		if p.expired(time.Now()) {
			p.Drop(errExpired)
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
func (p *Pipe) sendRest() {
	defer p.endpoint.Exit()
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
			p.Drop(errExpired)
			return
		case p.Send(message) != nil:
			return
		}
	}
}

func (p *Pipe) expired(now time.Time) bool { return !p.expires.IsZero() && now.After(p.expires) }

// Send sends a message. It blocks while the other side does not read, and
// ends the connection if it fails.
func (p *Pipe) Send(message []byte) error {
	if p.link == nil {
		return p.core.SendMsg(&mangos.Message{Body: message})
	}
	err := p.link.send(nil, message)
	if err != nil {
		p.endSoon()
	}
	return err
}

// endSoon ends a connection that cannot be written to. Messages that the other
// side has sent before are still read, since its goodbye may be among them. The
// session may be in a user's function, and not read, so the end waits for
// neither.
func (p *Pipe) endSoon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.done:
	default:
		if p.ending == nil {
			p.ending = time.AfterFunc(lastWords, p.Close)
		}
	}
}

// ended records the end of the connection.
func (p *Pipe) ended() {
	p.mu.Lock()
	close(p.done)
	if p.ending != nil {
		p.ending.Stop()
	}
	p.mu.Unlock()
	p.session.Ended()
}

// SendLast sends the last message of this side. The connection ends when the
// other side has read it. It blocks for at most timeout, but over a transport
// that is not our own until the message is sent or the connection is closed. It
// must not be called while Send is in progress.
func (p *Pipe) SendLast(message []byte, timeout time.Duration) {
	if p.link != nil && p.link.sendLast(message, timeout) == nil {
		return
	}
	if p.link == nil {
		_ = p.Send(message)
	}
	_ = p.core.Close()
}

// receive passes messages to the session until the connection ends.
func (p *Pipe) receive() {
	defer p.endpoint.Exit()
	for {
		m := p.core.RecvMsg() // closes the connection when it fails
		if m == nil {
			return
		}
		err := p.received(m.Body)
		m.Free()
		if err != nil {
			p.Drop(err)
			return
		}
	}
}

func (p *Pipe) received(body []byte) error {
	if len(body) > p.endpoint.limit {
		return tooLong(uint64(len(body)), p.endpoint.limit)
	}
	return p.session.Received(body)
}

// Report logs bad input, once for each remote host and reason.
func (p *Pipe) Report(msg string, err error, args ...any) {
	p.endpoint.warnings.warn(msg, p.remote(), err, args...)
}

func (p *Pipe) remote() string { return fmt.Sprint(p.option(mangos.OptionRemoteAddr)) }

// Drop closes the connection because it has broken the protocol, or is no
// longer authorized.
func (p *Pipe) Drop(err error) {
	var outage *Outage
	if p.line != nil {
		outage = p.line.outage
	}
	p.endpoint.drop(outage, p.remote(), err)
	_ = p.core.Close()
}

// IsBehind reports whether received bytes wait to be read. Then this process is
// late, and not the other side.
func (p *Pipe) IsBehind() bool { return p.link != nil && p.link.unread() }

// TimedOut reports whether the connection has ended because nothing has arrived
// at the other side for too long. It reports false if that is unknown.
func (p *Pipe) TimedOut() bool { return p.link != nil && p.link.timedOut.Load() }

// Sent returns how many bytes were sent since the handshakes.
func (p *Pipe) Sent() int64 {
	if p.link == nil {
		return 0
	}
	return p.link.sent.Load()
}

// Acknowledged returns how many of the bytes that were sent since the
// handshakes the system of the other side has acknowledged. It returns false if
// that is unknown.
func (p *Pipe) Acknowledged() (bytes int64, known bool) {
	if p.link == nil {
		return 0, false
	}
	unacked, known := p.link.unacked()
	return p.link.sent.Load() - int64(unacked), known
}

// LastRead returns when something was last read from a server, which may be
// part of a message. It is zero if that is unknown.
func (p *Pipe) LastRead() time.Time {
	if p.link == nil {
		return time.Time{}
	}
	return p.link.connectedAt.Add(time.Duration(p.link.lastRead.Load()))
}

// GiveUp closes the connection to a server that has been silent for too long.
// It reports err as the cause of the outage that follows.
func (p *Pipe) GiveUp(err error) {
	if p.line != nil {
		p.line.outage.Failed(err)
	}
	_ = p.core.Close()
}

// Form returns the form of a subscription. If it is not plain, have is the
// sum of the list that the subscriber has, or nil if it has none.
func (p *Pipe) Form() (plain bool, have *uint64) {
	if p.link == nil || !p.link.changes {
		return true, nil
	}
	return false, p.link.have
}

// Beat returns the beat that the server has announced. It is zero in the plain
// form.
func (p *Pipe) Beat() time.Duration {
	if p.link == nil {
		return 0
	}
	return p.link.beat
}

// Awaited reports whether the server was down when it was first dialed.
func (p *Pipe) Awaited() bool { return p.link != nil && p.link.awaited }

// RememberSum records the sum of the server's list for the next connection to
// the server.
func (p *Pipe) RememberSum(sum uint64) {
	if p.link != nil {
		p.link.resumption.setSum(sum)
	}
}

// Forget records that the list is wrong, so that the next connection does not
// continue from it.
func (p *Pipe) Forget() { p.link.resumption.forget() }

// Distrust records that the server has broken the protocol of changes.
func (p *Pipe) Distrust() { p.link.resumption.distrust(time.Now()) }

// RemoteAddr returns nil if the transport has no network addresses.
func (p *Pipe) RemoteAddr() net.Addr {
	address, _ := p.option(mangos.OptionRemoteAddr).(net.Addr)
	return address
}

// TLS returns the state of the TLS connection, or nil without TLS.
func (p *Pipe) TLS() *tls.ConnectionState {
	if p.link != nil {
		return p.link.state()
	}
	if state, ok := p.option(mangos.OptionTLSConnState).(tls.ConnectionState); ok {
		return &state
	}
	return nil
}

// option returns the value of an option, or nil if the transport lacks it.
func (p *Pipe) option(name string) any {
	if mp, ok := p.core.(mangos.Pipe); ok {
		if value, err := mp.GetOption(name); err == nil {
			return value
		}
	}
	return nil
}
