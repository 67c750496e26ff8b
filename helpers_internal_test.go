package gopherdiscovery

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/protocol"
)

const ms = time.Millisecond

// gate is a log handler that blocks until it is opened.
type gate struct {
	open chan struct{}

	mu    sync.Mutex // guards lines
	lines []string
}

// openGate returns a gate that does not block.
func openGate() *gate {
	g := &gate{open: make(chan struct{})}
	close(g.open)
	return g
}

// take returns the lines logged since the last call.
func (g *gate) take() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	lines := g.lines
	g.lines = nil
	return lines
}

func (g *gate) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (g *gate) WithAttrs([]slog.Attr) slog.Handler               { return g }
func (g *gate) WithGroup(string) slog.Handler                    { return g }

func (g *gate) Handle(_ context.Context, r slog.Record) error {
	<-g.open
	line := r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lines = append(g.lines, line)
	return nil
}

// quietSettings are the settings of an endpoint without a log.
var quietSettings = settings{log: &asyncLog{logger: slog.New(slog.DiscardHandler)}}

// newTestRedialer returns the redialer of a line without a socket.
func newTestRedialer(e *endpoint, a address) *redialer {
	return newRedialer(newLine(&socket{endpoint: e}, a, newOutage(e, a), nil))
}

// nothing is a connection on which nothing happens.
type nothing struct{ mangos.TranPipe }

func (nothing) Close() error { return nil }

// rang reports whether the bell has rung since the last call.
func rang(b bell) bool {
	select {
	case <-b:
		return true
	default:
		return false
	}
}

// fakePipe is a mangos connection with nothing behind it.
type fakePipe struct {
	protocol.Pipe
	busy chan struct{} // messages are not sent until it is closed
	done chan struct{} // closed by Close

	mu     sync.Mutex // guards the fields below
	in     []string   // what the other side says
	sent   []string
	closed bool
}

// newFakePipe returns a pipe whose other side sends the given messages and then
// hangs up.
func newFakePipe(says ...string) *fakePipe {
	f := &fakePipe{in: says, busy: make(chan struct{}), done: make(chan struct{})}
	close(f.busy)
	return f
}

func (f *fakePipe) SendMsg(m *mangos.Message) error {
	select {
	case <-f.busy:
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

func (f *fakePipe) RecvMsg() *mangos.Message {
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

func (f *fakePipe) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		close(f.done)
	}
	f.closed = true
	return nil
}

func (f *fakePipe) isClosed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}

// take returns the messages sent since the last call.
func (f *fakePipe) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	sent := f.sent
	f.sent = nil
	return sent
}
