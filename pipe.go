package gopherdiscovery

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/protocol"
)

// session is what a role does on one connection.
type session interface {
	// received takes a message, which is valid during the call. It is not called concurrently, but perhaps after ended. An
	// error closes the connection, as one that breaks the protocol.
	received(body []byte) error

	// ended is called once when the connection has ended. It must not block.
	ended()
}

// pipe is one connection that takes part.
type pipe struct {
	core     protocol.Pipe
	endpoint *endpoint
	session  session
	url      string    // where it leads to, or comes in
	expires  time.Time // when the certificate at the other end does; zero without one
	wake     bell      // nil for a role that does not post
	done     chan struct{}

	mu   sync.Mutex // guards next
	next []byte     // the newest message, while it is not being sent

	reported *atomic.Bool // bad input on the connection has been logged
	outage   *outage      // of the server at the other end; nil on the server's side
}

func newPipe(core protocol.Pipe, e *endpoint, posts bool) *pipe {
	p := &pipe{core: core, endpoint: e, done: make(chan struct{}), reported: new(atomic.Bool)}
	if mp, ok := core.(mangos.Pipe); ok {
		p.url = publicURL(mp.Address())
	}
	if posts {
		p.wake = newBell()
	}
	p.outage, _ = p.option(optionOutage).(*outage)
	if c, ok := p.option(optionLink).(*link); ok {
		p.reported = c.reported
	}
	if state := p.state(); state != nil && len(state.PeerCertificates) > 0 {
		p.expires = state.PeerCertificates[0].NotAfter
	}
	return p
}

// post sends a message soon and never blocks. A message that still waits is replaced: of a slow connection only the newest
// waits. Posted messages are shared, nobody may change them.
func (p *pipe) post(message []byte) {
	p.mu.Lock()
	p.next = message
	p.mu.Unlock()
	p.wake.ring()
}

func (p *pipe) takePost() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	message := p.next
	p.next = nil
	return message
}

// send sends what is posted, until the connection ends.
func (p *pipe) send() {
	defer p.endpoint.leave()
	for {
		select {
		case <-p.wake:
		case <-p.done:
			return
		}
		message := p.takePost()
		switch {
		case message == nil:
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

// giveUp closes the connection to a server that is overdue, as a part of the outage that follows.
func (p *pipe) giveUp(err error) {
	if p.outage != nil {
		p.outage.failed(err)
	}
	_ = p.core.Close()
}

// remoteAddr is nil when the transport has no such addresses.
func (p *pipe) remoteAddr() net.Addr {
	address, _ := p.option(mangos.OptionRemoteAddr).(net.Addr)
	return address
}

// state returns the state of TLS, nil without it.
func (p *pipe) state() *tls.ConnectionState {
	if c, ok := p.option(optionLink).(*link); ok {
		return c.state()
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
