package sptest

import (
	"sync"

	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/protocol"
)

// A FakePipe is a connection of mangos with nothing behind it.
type FakePipe struct {
	protocol.Pipe
	Busy chan struct{} // messages are sent once it is closed
	done chan struct{} // closed by Close

	mu     sync.Mutex // guards the fields below
	in     []string   // what the other side says
	sent   []string
	owner  any // set by SetPrivate
	closed bool
}

// NewFakePipe returns a pipe whose other side sends the given messages and then
// hangs up.
func NewFakePipe(says ...string) *FakePipe {
	f := &FakePipe{in: says, Busy: make(chan struct{}), done: make(chan struct{})}
	close(f.Busy)
	return f
}

func (f *FakePipe) SendMsg(m *mangos.Message) error {
	select {
	case <-f.Busy:
	case <-f.done:
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return mangos.ErrClosed
	}
	f.sent = append(f.sent, string(m.Body))
	return nil
}

func (f *FakePipe) RecvMsg() *mangos.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.in) == 0 {
		return nil
	}
	m := mangos.NewMessage(0)
	m.Body = append(m.Body, f.in[0]...)
	f.in = f.in[1:]
	return m
}

func (f *FakePipe) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		close(f.done)
	}
	f.closed = true
	return nil
}

// SetPrivate and GetPrivate keep what the socket knows of the connection.
func (f *FakePipe) SetPrivate(owner any) { f.owner = owner }
func (f *FakePipe) GetPrivate() any      { return f.owner }

// IsClosed reports whether Close was called.
func (f *FakePipe) IsClosed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}

// Take returns the messages sent since the last call.
func (f *FakePipe) Take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	sent := f.sent
	f.sent = nil
	return sent
}

// Rang takes the ring of a bell. It returns false if the bell has not rung.
func Rang(bell <-chan struct{}) bool {
	select {
	case <-bell:
		return true
	default:
		return false
	}
}
