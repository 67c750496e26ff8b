package gopherdiscovery

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/transport"
	_ "go.nanomsg.org/mangos/v3/transport/inproc" // registers inproc
)

const (
	// One private scheme carries all URLs to our transport; registering "tcp" would replace it for the whole process.
	privateScheme = "gopherdiscovery"
	optionSocket  = "gopherdiscovery.socket"

	// optionReported is where a connection keeps whether bad input on it has been logged.
	optionReported = "gopherdiscovery.reported"

	// handshakeTime is the deadline for a connection to be made, and for the handshakes on it to be done.
	handshakeTime = 5 * time.Second
)

// keepAlive finds within 10 seconds that the machine at the other end has vanished without a word. Between two probes and the end of
// a connection there is room for a network that loses one packet in ten.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 3 * time.Second, Interval: time.Second, Count: 7}

func init() { transport.RegisterTransport(carrier{}) }

func privateURL(a address) string { return privateScheme + "://" + a.String() }

// carrier is the transport of all our sockets: SP over tcp, tls+tcp and ipc itself, any other scheme through the transport that
// the program has registered with mangos.
type carrier struct{}

func (carrier) Scheme() string { return privateScheme }

// route finds the socket and address behind a private URL, and for a scheme not ours the transport.
func route(url string, sock mangos.Socket) (*socket, address, transport.Transport, error) {
	v, err := sock.GetOption(optionSocket)
	if err != nil {
		return nil, address{}, nil, err
	}
	scheme, target, _ := strings.Cut(strings.TrimPrefix(url, privateScheme+"://"), "://")
	a := address{scheme: scheme, target: target}
	if a.isOurs() {
		return v.(*socket), a, nil, nil
	}
	t := transport.GetTransport(a.scheme)
	if t == nil {
		return nil, address{}, nil, mangos.ErrBadTran
	}
	return v.(*socket), a, t, nil
}

func (carrier) NewListener(url string, sock mangos.Socket) (mangos.TranListener, error) {
	s, a, t, err := route(url, sock)
	if err != nil {
		return nil, err
	}
	if t == nil {
		return &listener{sock: s, address: a, ready: make(chan *conn)}, nil
	}
	l, err := t.NewListener(a.String(), sock)
	if err != nil {
		return nil, err
	}
	if err := s.configure(l.SetOption); err != nil {
		return nil, err
	}
	return foreignListener{l, s}, nil
}

func (carrier) NewDialer(url string, sock mangos.Socket) (mangos.TranDialer, error) {
	s, a, t, err := route(url, sock)
	if err != nil {
		return nil, err
	}
	d := &dialer{sock: s, address: a, reported: new(atomic.Bool), outage: &outage{sock: s, url: a.String()}}
	s.mu.Lock()
	s.dialers[a.String()] = d
	s.mu.Unlock()
	if t == nil {
		d.connect = d.connectNet
		return d, nil
	}
	d.connect, err = connectForeign(t, a, s, sock)
	return d, err
}

// fixed refuses the options of mangos: ours are in the socket.
type fixed struct{}

func (fixed) SetOption(string, any) error   { return mangos.ErrBadOption }
func (fixed) GetOption(string) (any, error) { return nil, mangos.ErrBadOption }

// sleep ends early with the context.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
