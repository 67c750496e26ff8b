package gopherdiscovery

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/protocol"
)

// role is one side of one of the two Scalability Protocols that are spoken here. The callbacks of a pipe come in order:
// attached, then received one by one, then detached, which may overtake a received still running. Attached and detached
// must not block, and must not close the pipe.
type role struct {
	info     mangos.ProtocolInfo
	lost     string // what it means that the last connection is lost, for the log; may be empty
	found    string // what the log says when a server that was lost is back
	limit    int    // longest message accepted, in bytes
	posts    bool   // whether post is used
	attached func(*pipe)
	received func(p *pipe, body []byte) // body is valid during the call
	detached func(*pipe)
}

// settings is what the user has a say in.
type settings struct {
	log        *asyncLog
	tls        *tls.Config // nil without TLS
	maxConns   int         // connections accepted; 0 is no limit
	handshakes *handshakes // of the server; nil for what only dials
}

// socket is a mangos socket with a protocol of ours in it. The protocols that come with mangos v3.4.2 do not fit: its
// surveyor cannot ask one connection and drops what exceeds a queue of 128, its respondent stops answering everyone while one
// surveyor does not read, its publisher drops the newest list, and none can be waited for (protocol/surveyor, respondent, xpub).
type socket struct {
	role
	settings
	warnings throttle
	core     mangos.Socket
	ctx      context.Context // ends when the socket is closed
	cancel   context.CancelFunc
	refused  atomic.Uint64 // connections closed before they took part
	broken   atomic.Uint64 // connections closed because they broke the protocol
	failed   atomic.Uint64 // connections that could not be accepted

	mu       sync.Mutex // guards the fields below
	changed  *sync.Cond // a count below fell
	closed   bool
	dialers  map[string]*dialer // by URL
	pipes    int                // connections that take part
	entrants int                // goroutines that close waits for
	outside  int                // goroutines that are in a function of the user's
	joining  int                // connections given to mangos that have not come back to AddPipe
	conns    map[io.Closer]bool // connections in any state: whether admitted
	admitted int                // connections that count against maxConns
}

func newSocket(r role, set settings) *socket {
	s := &socket{
		role: r, settings: set, warnings: throttle{log: set.log},
		dialers: make(map[string]*dialer), conns: make(map[io.Closer]bool),
	}
	s.changed = sync.NewCond(&s.mu)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.core = protocol.MakeSocket(s)
	return s
}

// listen returns the address as bound.
func (s *socket) listen(a address) (bound string, err error) {
	l, err := s.core.NewListener(privateURL(a), nil)
	if err == nil {
		err = l.Listen()
	}
	if err != nil {
		return "", err
	}
	return l.Address(), nil
}

// dialAll connects to all addresses in the background, and again whenever a connection is lost, until the socket is closed.
func (s *socket) dialAll(all []address) error {
	for _, a := range all {
		d, err := s.core.NewDialer(privateURL(a), map[string]any{
			mangos.OptionDialAsynch:    true,
			mangos.OptionReconnectTime: time.Duration(0), // our dialer does the waiting
		})
		if err == nil {
			err = d.Dial()
		}
		if err != nil {
			return fmt.Errorf("gopherdiscovery: dial %s: %w", a, err)
		}
	}
	return nil
}

// close returns when everything that the socket held is gone. It may be called again.
func (s *socket) close() {
	s.mu.Lock()
	s.closed = true
	s.cancel()
	// mangos v3.4.2 locks up when its socket is closed while it adds a connection (internal/core/socket.go, addPipe).
	for s.joining > 0 {
		s.changed.Wait()
	}
	dialers := slices.Collect(maps.Values(s.dialers))
	conns := make([]io.Closer, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()

	for _, d := range dialers {
		d.outage.disconnected()
	}
	_ = s.core.Close() // the second time it answers ErrClosed
	for _, c := range conns {
		_ = c.Close()
	}
	s.awaitEnd()
}

// awaitEnd waits for all that close waits for, but not for long when only functions of the user's have not returned.
func (s *socket) awaitEnd() {
	patient := true
	grace := time.AfterFunc(callbackGrace, func() {
		s.mu.Lock()
		patient = false
		s.changed.Broadcast()
		s.mu.Unlock()
	})
	defer grace.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.entrants > 0 || len(s.conns) > 0 || s.outside > 0 && patient {
		s.changed.Wait()
	}
}

// callOut calls a function of the user's in one of the goroutines that close waits for. It may hang.
func (s *socket) callOut(f func()) {
	s.move(-1, 1)
	f()
	s.move(1, -1)
}

func (s *socket) move(entrants, outside int) {
	s.mu.Lock()
	s.entrants += entrants
	s.outside += outside
	s.changed.Broadcast()
	s.mu.Unlock()
}

// enter announces n goroutines that close has to wait for; each calls leave. It returns false once the socket is closed.
func (s *socket) enter(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.entrants += n
	return true
}

func (s *socket) leave() { s.move(-1, 0) }

// own makes close close c and wait until c has called disown. It returns false once the socket is closed.
func (s *socket) own(c io.Closer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[c] = false
	return true
}

func (s *socket) disown(c io.Closer) {
	s.mu.Lock()
	if s.conns[c] {
		s.admitted--
	}
	delete(s.conns, c)
	s.changed.Broadcast()
	s.mu.Unlock()
}

// admit counts an accepted connection against maxConns, until it is closed. It returns an error when it is one too many, or
// has been closed meanwhile.
func (s *socket) admit(c io.Closer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, open := s.conns[c]; !open || s.closed {
		return errGaveWay
	}
	if s.fullLocked() {
		return errFull
	}
	s.conns[c] = true
	s.admitted++
	return nil
}

func (s *socket) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fullLocked()
}

func (s *socket) fullLocked() bool { return s.maxConns > 0 && s.admitted >= s.maxConns }

// refuse closes an accepted connection before it takes part. That a client gives up is no reason to log.
func (s *socket) refuse(c io.Closer, from string, err error) {
	closing := s.ctx.Err() != nil
	if !closing {
		s.refused.Add(1)
	}
	_ = c.Close()
	if !closing && !errors.Is(err, errHungUp) {
		s.warnings.warn("new connection closed", "from", from, "error", err)
	}
}

// give must wrap what is returned to mangos as a new connection.
func (s *socket) give(p mangos.TranPipe) (mangos.TranPipe, error) {
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.joining++
	}
	s.mu.Unlock()
	if closed {
		_ = p.Close()
		return nil, mangos.ErrClosed
	}
	return p, nil
}

// AddPipe is called by mangos with a new connection, never at the same time as RemovePipe for it.
func (s *socket) AddPipe(mp protocol.Pipe) error {
	defer s.joined()
	goroutines := 1
	if s.posts {
		goroutines = 2
	}
	if !s.enter(goroutines) {
		return mangos.ErrClosed
	}
	p := &pipe{Pipe: mp, sock: s, wake: make(chan struct{}, 1), done: make(chan struct{})}
	if state, ok := p.option(mangos.OptionTLSConnState).(tls.ConnectionState); ok && len(state.PeerCertificates) > 0 {
		p.expires = state.PeerCertificates[0].NotAfter
	}
	p.reported, _ = p.option(optionReported).(*atomic.Bool)
	if p.reported == nil {
		p.reported = new(atomic.Bool)
	}
	mp.SetPrivate(p)
	s.countPipe(1)
	if s.attached != nil {
		s.attached(p)
	}
	go p.receive()
	if s.posts {
		go p.send()
	}
	return nil
}

func (s *socket) joined() {
	s.mu.Lock()
	s.joining--
	s.changed.Broadcast()
	s.mu.Unlock()
}

func (s *socket) countPipe(n int) {
	s.mu.Lock()
	s.pipes += n
	s.mu.Unlock()
}

// connected reports whether any connection takes part.
func (s *socket) connected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pipes > 0
}

// dialer returns the dialer of a URL, nil if there is none.
func (s *socket) dialer(url string) *dialer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dialers[url]
}

// RemovePipe is called by mangos when a connection has ended.
func (s *socket) RemovePipe(mp protocol.Pipe) {
	p := mp.GetPrivate().(*pipe)
	s.countPipe(-1)
	close(p.done)
	if s.detached != nil {
		s.detached(p)
	}
}

// GetOption lets our transport find the socket that a connection is for.
func (s *socket) GetOption(name string) (any, error) {
	switch name {
	case optionSocket:
		return s, nil
	case mangos.OptionRaw:
		return false, nil
	}
	return nil, mangos.ErrBadOption
}

// The rest of mangos.ProtocolBase: messages pass through pipes only.

func (s *socket) Info() mangos.ProtocolInfo                    { return s.info }
func (s *socket) Close() error                                 { return nil }
func (s *socket) SetOption(string, any) error                  { return mangos.ErrBadOption }
func (s *socket) SendMsg(*mangos.Message) error                { return mangos.ErrProtoOp }
func (s *socket) RecvMsg() (*mangos.Message, error)            { return nil, mangos.ErrProtoOp }
func (s *socket) OpenContext() (mangos.ProtocolContext, error) { return nil, mangos.ErrProtoOp }
