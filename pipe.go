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

// session is what a role does on one connection.
type session interface {
	// began is called once, before anything else.
	began()

	// received takes a message, which is valid during the call. It is not called concurrently, but perhaps after ended. An
	// error closes the connection, as one that breaks the protocol.
	received(body []byte) error

	// say returns what is to be sent next, and nil if there is nothing to say. It is called after pipe.offer, when the
	// connection can take a message, and not concurrently. Nobody changes the message.
	say() []byte

	// ended is called once when the connection has ended. It must not block.
	ended()
}

// pipe is one connection that takes part.
type pipe struct {
	core     protocol.Pipe
	link     *link // nil if the transport is not ours
	endpoint *endpoint
	session  session
	url      string    // where it leads to, or comes in
	expires  time.Time // when the certificate at the other end does; zero without one
	done     chan struct{}

	mu      sync.Mutex // guards the fields below
	sending bool       // what the session says is being sent
	offered bool       // there may be something to say that was not asked for yet

	reported *atomic.Bool // bad input on the connection has been logged
	outage   *outage      // of the server at the other end; nil on the server's side
}

func newPipe(core protocol.Pipe, e *endpoint) *pipe {
	p := &pipe{core: core, endpoint: e, done: make(chan struct{}), reported: new(atomic.Bool)}
	if mp, ok := core.(mangos.Pipe); ok {
		p.url = publicURL(mp.Address())
	}
	p.outage, _ = p.option(optionOutage).(*outage)
	p.link, _ = p.option(optionLink).(*link)
	if p.link != nil {
		p.reported = p.link.reported
	}
	if state := p.state(); state != nil && len(state.PeerCertificates) > 0 {
		p.expires = state.PeerCertificates[0].NotAfter
	}
	return p
}

// offer makes the session say what it has to say, as soon as the connection can take it. It never blocks.
func (p *pipe) offer() {
	p.mu.Lock()
	idle := !p.sending
	p.sending, p.offered = true, true
	p.mu.Unlock()
	if idle && !p.sendAtOnce() && p.endpoint.enter(1) {
		go p.sendRest()
	}
}

// offerAll is offer for many, with the help of other goroutines.
func offerAll[S interface{ offer() }](all []S) {
	helpers := min(len(all)/connsPerSender, runtime.GOMAXPROCS(0)-1)
	share := len(all) / (helpers + 1)
	var group sync.WaitGroup
	for range helpers {
		part := all[:share]
		all = all[share:]
		group.Go(func() {
			for _, s := range part {
				s.offer()
			}
		})
	}
	for _, s := range all {
		s.offer()
	}
	group.Wait()
}

// next returns the next message, and nil when there is none left: then the sending is over.
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
		if message := p.session.say(); message != nil {
			p.mu.Lock()
			p.offered = true // there may be more
			p.mu.Unlock()
			return message
		}
	}
}

// sendAtOnce sends as much as does not block, and reports whether that is all.
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
			_ = p.core.Close()
			return true
		}
		if !sent {
			return false
		}
	}
}

// sendRest sends what may block.
func (p *pipe) sendRest() {
	defer p.endpoint.leave()
	if p.link != nil && p.link.sendRest() != nil {
		_ = p.core.Close()
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

// sendNow blocks while the other side does not read. When it fails the connection is closed.
func (p *pipe) sendNow(message []byte) error {
	return p.core.SendMsg(&mangos.Message{Body: message})
}

// receive passes messages to the session, until the connection ends.
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
	return p.session.received(body)
}

// report logs bad input, once per connection.
func (p *pipe) report(what string, args ...any) {
	if !p.reported.Swap(true) {
		p.endpoint.warnings.warn(what, append(args, "from", fmt.Sprint(p.option(mangos.OptionRemoteAddr)))...)
	}
}

// drop closes a connection that breaks the protocol, or has lost its right to take part.
func (p *pipe) drop(err error) {
	p.endpoint.broken.Add(1)
	p.report("connection closed", "error", err)
	_ = p.core.Close()
}

// isBehind reports whether something waits to be read: then it is not the other
// side that is late, but this process.
func (p *pipe) isBehind() bool { return p.link != nil && p.link.unread() }

// giveUp closes the connection to a server that is overdue, as a part of the outage that follows.
func (p *pipe) giveUp(err error) {
	if p.outage != nil {
		p.outage.failed(err)
	}
	_ = p.core.Close()
}

// changes tells what a subscription is: plain, or in changes from the list with the sum that the subscriber has.
func (p *pipe) changes() (plain bool, have *uint64) {
	if p.link == nil || !p.link.changes {
		return true, nil
	}
	return false, p.link.have
}

// beat is how often the server says something at least; zero in the plain form.
func (p *pipe) beat() time.Duration {
	if p.link == nil {
		return 0
	}
	return p.link.beat
}

// hold notes for the next connection to the server which list the subscriber has from it.
func (p *pipe) hold(sum uint64) {
	if p.link != nil {
		p.link.resumption.hold(sum)
	}
}

// distrust notes that the server has sent what breaks the protocol of changes.
func (p *pipe) distrust() { p.link.resumption.distrust() }

// remoteAddr is nil when the transport has no such addresses.
func (p *pipe) remoteAddr() net.Addr {
	address, _ := p.option(mangos.OptionRemoteAddr).(net.Addr)
	return address
}

// state returns the state of TLS, nil without it.
func (p *pipe) state() *tls.ConnectionState {
	if p.link != nil {
		return p.link.state()
	}
	if state, ok := p.option(mangos.OptionTLSConnState).(tls.ConnectionState); ok {
		return &state
	}
	return nil
}

// option returns nil for an option that the transport does not have.
func (p *pipe) option(name string) any {
	if mp, ok := p.core.(mangos.Pipe); ok {
		if value, err := mp.GetOption(name); err == nil {
			return value
		}
	}
	return nil
}
