package sp

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/transport"
	_ "go.nanomsg.org/mangos/v3/transport/inproc" // registers inproc
)

const (
	// privateScheme precedes all our URLs, so that mangos uses our transport.
	// Registering "tcp" would replace it for the whole process.
	privateScheme = "gopherdiscovery"

	// These options reach through mangos to our own types: from a socket to its
	// endpoint and, if it dials, its line, and from a pipe to its link, which a
	// pipe of a foreign transport does not have.
	optionEndpoint = "gopherdiscovery.endpoint"
	optionLine     = "gopherdiscovery.line"
	optionLink     = "gopherdiscovery.link"
)

func init() { transport.RegisterTransport(carrier{}) }

func privateURL(a Address) string { return privateScheme + "://" + a.String() }

func publicURL(url string) string { return strings.TrimPrefix(url, privateScheme+"://") }

// carrier is the transport of all our sockets. It speaks SP over tcp, tls+tcp
// and ipc itself, and passes any other scheme to the transport that the program
// has registered with mangos.
type carrier struct{}

func (carrier) Scheme() string { return privateScheme }

func (carrier) NewListener(url string, sock mangos.Socket) (mangos.TranListener, error) {
	e, a, t, err := route(url, sock)
	if err != nil {
		return nil, err
	}
	if t == nil {
		return netListener{listener: newListener(e, a)}, nil
	}
	l, err := t.NewListener(a.String(), sock)
	if err != nil {
		return nil, err
	}
	if err := configure(e, l.SetOption); err != nil {
		return nil, err
	}
	return foreignListener{l, e}, nil
}

func (carrier) NewDialer(url string, sock mangos.Socket) (mangos.TranDialer, error) {
	e, a, t, err := route(url, sock)
	if err != nil {
		return nil, err
	}
	l, err := sock.GetOption(optionLine)
	if err != nil {
		return nil, err
	}
	r := newRedialer(l.(*Line))
	if t == nil {
		return &netDialer{connector: connector{redialer: r}}, nil
	}
	d, err := t.NewDialer(a.String(), sock)
	if err != nil {
		return nil, err
	}
	if err := configure(e, d.SetOption); err != nil {
		return nil, err
	}
	return &foreignDialer{redialer: r, foreign: d}, nil
}

// route returns the endpoint and the address behind a private URL, and the
// transport unless it is our own.
func route(url string, sock mangos.Socket) (*endpoint, Address, transport.Transport, error) {
	v, err := sock.GetOption(optionEndpoint)
	if err != nil {
		return nil, Address{}, nil, err
	}
	scheme, target, _ := strings.Cut(publicURL(url), "://")
	a := Address{scheme: scheme, target: target}
	if a.isOurs() {
		return v.(*endpoint), a, nil, nil
	}
	t := transport.GetTransport(a.scheme)
	if t == nil {
		return nil, Address{}, nil, mangos.ErrBadTran
	}
	return v.(*endpoint), a, t, nil
}

// isRegistered reports whether the program has registered a transport for
// scheme.
func isRegistered(scheme string) bool {
	return scheme != privateScheme && transport.GetTransport(scheme) != nil
}

// noOptions refuses the options of mangos. Our options are in the endpoint.
type noOptions struct{}

func (noOptions) SetOption(string, any) error   { return mangos.ErrBadOption }
func (noOptions) GetOption(string) (any, error) { return nil, mangos.ErrBadOption }

// handOver registers a new connection with its endpoint. Every connection that
// is returned to mangos must pass through it.
func handOver(e *endpoint, p mangos.TranPipe) (mangos.TranPipe, error) {
	if !e.join() {
		_ = p.Close()
		return nil, mangos.ErrClosed
	}
	return p, nil
}

// netListener is a listener as mangos sees it.
type netListener struct {
	noOptions
	*listener
}

func (l netListener) Listen() error   { return l.listen() }
func (l netListener) Close() error    { return l.close() }
func (l netListener) Address() string { return l.url() }

func (l netListener) Accept() (mangos.TranPipe, error) {
	c, err := l.accept()
	if err != nil {
		return nil, mangos.ErrClosed
	}
	return handOver(l.endpoint, netPipe{link: c})
}

// redial calls connect until it succeeds or the line has ended.
func redial(r *redialer, connect func() (mangos.TranPipe, error)) (mangos.TranPipe, error) {
	for r.wait() {
		p, err := connect()
		switch {
		case err != nil:
			r.fail(err)
		case r.ctx.Err() != nil:
			_ = p.Close()
		default:
			r.succeed()
			return handOver(r.endpoint, p)
		}
	}
	return nil, mangos.ErrClosed
}

// netDialer is a connector as mangos sees it. Mangos calls Dial again when the
// connection is lost.
type netDialer struct {
	noOptions
	connector
}

// Dial is never called concurrently.
func (d *netDialer) Dial() (mangos.TranPipe, error) {
	return redial(d.redialer, func() (mangos.TranPipe, error) {
		c, err := d.connect()
		return netPipe{c, d.outage}, err
	})
}

// netPipe is a link as mangos sees it.
type netPipe struct {
	*link
	outage *Outage // nil if accepted
}

func (p netPipe) Send(m *mangos.Message) error {
	err := p.send(m.Header, m.Body)
	if err == nil {
		m.Free()
	}
	return err
}

func (p netPipe) Recv() (*mangos.Message, error) {
	length, err := p.receiveLength()
	if err != nil {
		p.blame(err)
		return nil, err
	}
	if length > chunk {
		body, err := readLong(p.reader, length)
		return &mangos.Message{Body: body}, err
	}
	// Messages come from a pool, so that short ones make no garbage.
	m := mangos.NewMessage(length)
	m.Body = m.Body[:length]
	return m, p.read(m.Body)
}

// blame records an error of the protocol. The connection is about to end.
func (p netPipe) blame(err error) {
	if !errors.Is(err, errNotSP) && !errors.Is(err, errTooLong) {
		return
	}
	if p.beat > 0 {
		p.resumption.distrust(time.Now())
	}
	p.endpoint.drop(p.outage, p.remote(), err)
}

func (p netPipe) GetOption(name string) (any, error) {
	switch name {
	case optionLink:
		return p.link, nil
	case mangos.OptionRemoteAddr:
		return p.conn.RemoteAddr(), nil
	}
	return nil, mangos.ErrBadOption
}

// configure sets the options of a foreign listener or dialer, as far as its
// transport has them.
func configure(e *endpoint, setOption func(string, any) error) error {
	err := setOption(mangos.OptionMaxRecvSize, e.limit)
	if e.TLS != nil && (err == nil || err == mangos.ErrBadOption) {
		err = setOption(mangos.OptionTLSConfig, e.TLS)
	}
	if err == mangos.ErrBadOption {
		return nil
	}
	return err
}

// foreignListener accepts connections over a transport that is not our own.
type foreignListener struct {
	mangos.TranListener
	endpoint *endpoint
}

// SetOption keeps mangos from replacing our limit with its own.
func (l foreignListener) SetOption(string, any) error { return mangos.ErrBadOption }

func (l foreignListener) Accept() (mangos.TranPipe, error) {
	for {
		tp, err := l.TranListener.Accept()
		if err != nil {
			return nil, err
		}
		p, err := newForeignPipe(tp, l.endpoint)
		if err != nil {
			return nil, err
		}
		if err = l.endpoint.admit(p); err == nil {
			return handOver(l.endpoint, p)
		}
		from, _ := tp.GetOption(mangos.OptionRemoteAddr)
		l.endpoint.refuse(p, fmt.Sprint(from), err)
	}
}

// foreignDialer connects over a transport that is not our own. An attempt in
// progress cannot be interrupted. The end of the endpoint does not wait for it,
// and a connection that it yields is closed.
type foreignDialer struct {
	noOptions
	*redialer
	foreign mangos.TranDialer
}

func (d *foreignDialer) Dial() (mangos.TranPipe, error) {
	return redial(d.redialer, func() (mangos.TranPipe, error) {
		tp, err := d.foreign.Dial()
		if err != nil {
			return nil, err
		}
		p, err := newForeignPipe(tp, d.endpoint)
		if err != nil {
			return nil, err
		}
		return p, nil
	})
}

// foreignPipe is a connection over a transport that is not our own. Its
// endpoint owns it until it is closed, as it owns a link.
type foreignPipe struct {
	mangos.TranPipe
	close func() error
}

func newForeignPipe(tp mangos.TranPipe, e *endpoint) (*foreignPipe, error) {
	p := &foreignPipe{TranPipe: tp}
	p.close = sync.OnceValue(func() error {
		err := tp.Close()
		e.disown(p)
		return err
	})
	if !e.own(p) {
		_ = tp.Close()
		return nil, mangos.ErrClosed
	}
	return p, nil
}

func (p *foreignPipe) Close() error { return p.close() }
