package gopherdiscovery

import (
	"sync"

	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/transport"
)

// foreignListener accepts the connections of a transport that is not ours.
type foreignListener struct {
	mangos.TranListener
	sock *socket
}

func (l foreignListener) Accept() (mangos.TranPipe, error) {
	tp, err := l.TranListener.Accept()
	if err != nil {
		return nil, err
	}
	p, err := newForeignPipe(tp, l.sock)
	if err != nil {
		return nil, err
	}
	return l.sock.give(p)
}

// connectForeign returns the connect function of a dialer. A connect that is under way cannot be interrupted: the socket's
// close does not wait for it, and what comes of it is closed.
func connectForeign(t transport.Transport, a address, s *socket, sock mangos.Socket) (func() (mangos.TranPipe, error), error) {
	d, err := t.NewDialer(a.String(), sock)
	if err != nil {
		return nil, err
	}
	if err := d.SetOption(mangos.OptionMaxRecvSize, s.limit); err != nil && err != mangos.ErrBadOption {
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
