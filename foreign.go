package gopherdiscovery

import (
	"fmt"
	"sync"

	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/transport"
)

// foreignListener accepts the connections of a transport that is not ours.
type foreignListener struct {
	mangos.TranListener
	sock *socket
}

// SetOption keeps mangos from putting its own limit in place of ours.
func (l foreignListener) SetOption(string, any) error { return mangos.ErrBadOption }

func (l foreignListener) Accept() (mangos.TranPipe, error) {
	for {
		tp, err := l.TranListener.Accept()
		if err != nil {
			return nil, err
		}
		p, err := newForeignPipe(tp, l.sock)
		if err != nil {
			return nil, err
		}
		if err = l.sock.admit(p); err == nil {
			return l.sock.give(p)
		}
		from, _ := tp.GetOption(mangos.OptionRemoteAddr)
		l.sock.refuse(p, fmt.Sprint(from), err)
	}
}

// connectForeign returns the connect function of a dialer. A connect that is under way cannot be interrupted: the socket's
// close does not wait for it, and what comes of it is closed.
func connectForeign(t transport.Transport, a address, s *socket, sock mangos.Socket) (func() (mangos.TranPipe, error), error) {
	d, err := t.NewDialer(a.String(), sock)
	if err != nil {
		return nil, err
	}
	if err := s.configure(d.SetOption); err != nil {
		return nil, err
	}
	return func() (mangos.TranPipe, error) {
		tp, err := d.Dial()
		if err != nil {
			return nil, err
		}
		return newForeignPipe(tp, s)
	}, nil
}

// configure sets the options of a listener or dialer that is not ours, as far as its transport has them.
func (s *socket) configure(setOption func(string, any) error) error {
	err := setOption(mangos.OptionMaxRecvSize, s.limit)
	if s.tls != nil && (err == nil || err == mangos.ErrBadOption) {
		err = setOption(mangos.OptionTLSConfig, s.tls)
	}
	if err == mangos.ErrBadOption {
		return nil
	}
	return err
}

// foreignPipe is a connection of a transport that is not ours. Its socket owns it as it owns a conn.
type foreignPipe struct {
	mangos.TranPipe
	close func() error
}

func newForeignPipe(tp mangos.TranPipe, s *socket) (mangos.TranPipe, error) {
	p := &foreignPipe{TranPipe: tp}
	p.close = sync.OnceValue(func() error {
		err := tp.Close()
		s.disown(p)
		return err
	})
	if !s.own(p) {
		_ = tp.Close()
		return nil, mangos.ErrClosed
	}
	return p, nil
}

func (p *foreignPipe) Close() error { return p.close() }
