package gopherdiscovery

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/protocol"
)

// pipe is one connection of a socket.
type pipe struct {
	protocol.Pipe
	sock  *socket
	state any // what the role remembers of the connection
	wake  chan struct{}
	done  chan struct{} // closed when the connection has ended

	expires time.Time // when the certificate at the other end does; zero without one

	mu   sync.Mutex // guards next
	next []byte     // the newest message, while it is not being sent

	reported *atomic.Bool // bad input on the connection has been logged
}

// post sends a message soon and never blocks. A message that still waits is replaced: of a slow connection only the newest
// waits. Posted messages are shared, nobody may change them.
func (p *pipe) post(message []byte) {
	p.mu.Lock()
	p.next = message
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *pipe) send() {
	defer p.sock.leave()
	for {
		select {
		case <-p.wake:
		case <-p.done:
			return
		}
		p.mu.Lock()
		message := p.next
		p.next = nil
		p.mu.Unlock()
		if message == nil {
			continue
		}
		if p.expired(time.Now()) {
			p.drop(errExpired)
			return
		}
		if p.sendNow(message) != nil {
			return
		}
	}
}

func (p *pipe) expired(now time.Time) bool { return !p.expires.IsZero() && now.After(p.expires) }

// sendNow blocks while the other side does not read. When it fails the connection is closed.
func (p *pipe) sendNow(message []byte) error {
	return p.SendMsg(&mangos.Message{Body: message})
}

func (p *pipe) receive() {
	defer p.sock.leave()
	for {
		m := p.RecvMsg() // closes the connection when it fails
		if m == nil {
			return
		}
		if len(m.Body) > p.sock.limit {
			p.drop(tooLong(uint64(len(m.Body)), p.sock.limit))
			m.Free()
			return
		}
		if p.sock.received != nil {
			p.sock.received(p, m.Body)
		}
		m.Free()
	}
}

// report logs bad input, once per connection.
func (p *pipe) report(what string, args ...any) {
	if !p.reported.Swap(true) {
		p.sock.warnings.warn(what, append(args, "from", fmt.Sprint(p.option(mangos.OptionRemoteAddr)))...)
	}
}

// drop closes a connection that breaks the protocol, or has lost its right to take part.
func (p *pipe) drop(err error) {
	p.sock.broken.Add(1)
	p.report("connection closed", "error", err)
	_ = p.Close()
}

// url is where the connection leads to, or comes in.
func (p *pipe) url() string {
	if mp, ok := p.Pipe.(mangos.Pipe); ok {
		return strings.TrimPrefix(mp.Address(), privateScheme+"://")
	}
	return ""
}

// option returns nil for an option that the transport does not have.
func (p *pipe) option(name string) any {
	if mp, ok := p.Pipe.(mangos.Pipe); ok {
		if value, err := mp.GetOption(name); err == nil {
			return value
		}
	}
	return nil
}
