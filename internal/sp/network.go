package sp

import (
	"net"
	"time"

	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/transport"
)

// Network makes connections. The library has none: it is here for tests, which
// run whole clusters without an operating system.
type Network interface {
	Listen(target string) (net.Listener, error)
	Dial(target string) (net.Conn, error)
}

// networkTransport is a transport of the program that brings only a network:
// handshakes, messages and the forms of subscriptions are those of tcp.
type networkTransport struct {
	scheme  string
	network Network
	isPlain bool
}

// NewTransport returns a transport over a network for URLs with a scheme. If
// isPlain is true, its servers do not offer subscriptions in changes.
func NewTransport(scheme string, n Network, isPlain bool) transport.Transport {
	return networkTransport{scheme, n, isPlain}
}

func (t networkTransport) Scheme() string { return t.scheme }

func (t networkTransport) NewListener(url string, sock mangos.Socket) (mangos.TranListener, error) {
	e, a, _, err := route(url, sock)
	if err != nil {
		return nil, err
	}
	return networkListener{netListener{listener: newListener(e, a)}, t.network}, nil
}

func (t networkTransport) NewDialer(_ string, sock mangos.Socket) (mangos.TranDialer, error) {
	l, err := sock.GetOption(optionLine)
	if err != nil {
		return nil, err
	}
	return &networkDialer{connector: connector{redialer: newRedialer(l.(*Line))}, transport: t}, nil
}

// networkListener is a listener on a network.
type networkListener struct {
	netListener
	network Network
}

func (l networkListener) Listen() error {
	ln, err := l.network.Listen(l.address.target)
	if err != nil {
		return err
	}
	return l.serve(ln)
}

// Accept does not hand the connection to mangos. The listener that wraps this
// one does.
func (l networkListener) Accept() (mangos.TranPipe, error) {
	c, err := l.accept()
	if err != nil {
		return nil, mangos.ErrClosed
	}
	return netPipe{link: c}, nil
}

// networkDialer connects over a network. Its wrapper makes the pauses between
// attempts.
type networkDialer struct {
	noOptions
	connector
	transport networkTransport
}

func (d *networkDialer) Dial() (mangos.TranPipe, error) {
	if !d.endpoint.Enter(1) {
		return nil, mangos.ErrClosed
	}
	defer d.endpoint.Exit()
	d.since = time.Time{}
	l, err := d.inEitherForm(func(changes bool) (*link, error) {
		if changes && d.transport.isPlain {
			return nil, errNoChanges
		}
		begun := time.Now()
		nc, err := d.transport.network.Dial(d.address.target)
		if err != nil {
			return nil, err
		}
		return d.handshake(d.ctx, nc, terms{HandshakeTime, d.awaits(), changes, begun})
	})
	if err != nil {
		d.failures++
		return nil, err
	}
	d.since, d.failures = time.Now(), 0
	return netPipe{l, d.outage}, nil
}
