package sp

import (
	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/protocol"
)

// A Role is the purpose of a socket. It returns the session for a new
// connection, or nil if the connection is not wanted.
type Role func(*Pipe) Session

// A Socket is a mangos socket with our own protocol. The protocols of mangos
// v3.4.2 do not fit (protocol/surveyor, respondent and xpub). Its surveyor
// cannot ask a single connection, and drops answers beyond a queue of 128. Its
// respondent answers no one while one surveyor does not read. Its publisher
// drops the newest list. None of them lets its user wait for its end.
type Socket struct {
	*endpoint
	role Role
	core mangos.Socket // for listening
}

// NewSocket returns a socket that has no connection yet. The caller must call
// End.
func NewSocket(p Protocol, set Settings, r Role) *Socket {
	s := &Socket{endpoint: newEndpoint(p, set), role: r}
	s.core = protocol.MakeSocket(s)
	return s
}

// Listen listens on an address, and returns it as bound.
func (s *Socket) Listen(a Address) (bound string, err error) {
	l, err := s.core.NewListener(privateURL(a), nil)
	if err == nil {
		err = l.Listen()
	}
	if err != nil {
		return "", err
	}
	return l.Address(), nil
}

// DialAll connects to all addresses in the background, and reconnects whenever
// a connection is lost, until the socket is closed. It returns the outages of
// the servers, in the same order.
func (s *Socket) DialAll(all []Address) (outages []*Outage, err error) {
	for _, a := range all {
		o := NewOutage(s, a)
		if err := NewLine(s, a, o, nil).Dial(); err != nil {
			return nil, err
		}
		outages = append(outages, o)
	}
	return outages, nil
}

// End closes the socket and waits until everything that it held is gone. It
// may be called more than once. Mangos v3.4.2 deadlocks if its socket is closed
// while it adds a connection (internal/core/socket.go, addPipe), so shut first
// waits for such connections.
func (s *Socket) End() {
	s.shut()
	_ = s.core.Close() // the second time it returns ErrClosed
	s.end()
}

// AddPipe is called by mangos with an accepted connection. It is never called
// at the same time as RemovePipe for that connection.
func (s *Socket) AddPipe(core protocol.Pipe) error { return s.add(core, nil) }

func (s *Socket) add(core protocol.Pipe, l *Line) error {
	defer s.joined()
	if !s.Enter(1) {
		return mangos.ErrClosed
	}
	p := NewPipe(core, s, l)
	if p.session == nil {
		s.Exit()
		return mangos.ErrClosed
	}
	s.countPipe(1)
	p.session.Began()
	go p.receive()
	return nil
}

// RemovePipe is called by mangos when a connection has ended.
func (s *Socket) RemovePipe(core protocol.Pipe) {
	p := core.GetPrivate().(*Pipe)
	s.countPipe(-1)
	p.ended()
}

// GetOption lets our transport find the endpoint of a connection.
func (s *Socket) GetOption(name string) (any, error) {
	switch name {
	case optionEndpoint:
		return s.endpoint, nil
	case mangos.OptionRaw:
		return false, nil
	}
	return nil, mangos.ErrBadOption
}

// The other methods of mangos.ProtocolBase follow. Messages pass only through
// pipes.

// Info returns what mangos has to know of the protocol.
func (s *Socket) Info() mangos.ProtocolInfo {
	p := s.endpoint.Protocol
	return mangos.ProtocolInfo{Self: p.self, SelfName: p.selfName, Peer: p.peer, PeerName: p.peerName}
}

// Close does nothing. End closes the socket.
func (s *Socket) Close() error { return nil }

// SetOption returns an error: there is no option to set.
func (s *Socket) SetOption(string, any) error { return mangos.ErrBadOption }

// SendMsg returns an error.
func (s *Socket) SendMsg(*mangos.Message) error { return mangos.ErrProtoOp }

// RecvMsg returns an error.
func (s *Socket) RecvMsg() (*mangos.Message, error) { return nil, mangos.ErrProtoOp }

// OpenContext returns an error.
func (s *Socket) OpenContext() (mangos.ProtocolContext, error) { return nil, mangos.ErrProtoOp }
