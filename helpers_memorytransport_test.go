package gopherdiscovery

import (
	"fmt"
	"strings"
	"time"

	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/transport"
)

const (
	memoryScheme = "memory"
	plainScheme  = "memory+plain"
)

func init() {
	transport.RegisterTransport(memoryTransport{memoryScheme})
	transport.RegisterTransport(memoryTransport{plainScheme})
}

// memoryTransport is a transport over a Memory. It brings only a network of its
// own: handshakes, messages and the forms of subscriptions are those of tcp.
type memoryTransport struct{ scheme string }

func (t memoryTransport) Scheme() string { return t.scheme }

func (memoryTransport) NewListener(url string, sock mangos.Socket) (mangos.TranListener, error) {
	e, a, _, err := route(url, sock)
	if err != nil {
		return nil, err
	}
	return memoryListener{netListener{listener: newListener(e, a)}}, nil
}

func (memoryTransport) NewDialer(url string, sock mangos.Socket) (mangos.TranDialer, error) {
	l, err := sock.GetOption(optionLine)
	if err != nil {
		return nil, err
	}
	return &memoryDialer{connector: connector{redialer: newRedialer(l.(*line))}}, nil
}

// behind returns the network and the name that an address stands for.
func behind(a address) (*Memory, string, error) {
	id, name, _ := strings.Cut(a.target, "/")
	m, ok := memories.Load(id)
	if !ok {
		return nil, "", fmt.Errorf("there is no network %q", id)
	}
	return m.(*Memory), name, nil
}

// memoryListener is a listener on a Memory.
type memoryListener struct{ netListener }

func (l memoryListener) Listen() error {
	m, name, err := behind(l.address)
	if err != nil {
		return err
	}
	ln, err := m.listen(name)
	if err != nil {
		return err
	}
	return l.serve(ln)
}

// Accept does not hand the connection to mangos. The listener that wraps this
// one does.
func (l memoryListener) Accept() (mangos.TranPipe, error) {
	c, err := l.accept()
	if err != nil {
		return nil, mangos.ErrClosed
	}
	return netPipe{c}, nil
}

// memoryDialer connects over a Memory. Its wrapper makes the pauses between
// attempts.
type memoryDialer struct {
	noOptions
	connector
}

func (d *memoryDialer) Dial() (mangos.TranPipe, error) {
	if !d.endpoint.enter(1) {
		return nil, mangos.ErrClosed
	}
	defer d.endpoint.leave()
	d.since = time.Time{}
	made, err := d.inEitherForm(func(changes bool) (*link, error) {
		if changes && d.address.scheme == plainScheme {
			return nil, errNoChanges
		}
		m, name, err := behind(d.address)
		if err != nil {
			return nil, err
		}
		nc, err := m.dial(name)
		if err != nil {
			return nil, err
		}
		return d.handshake(d.ctx, nc, terms{handshakeTime, d.awaits(), changes})
	})
	if err != nil {
		d.failures++
		return nil, err
	}
	d.since, d.failures = time.Now(), 0
	return netPipe{made}, nil
}
