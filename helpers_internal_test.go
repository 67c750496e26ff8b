package gopherdiscovery

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/protocol"
)

const ms = time.Millisecond

// gate is a logger that returns when it is let.
type gate struct {
	open chan struct{}

	mu    sync.Mutex // guards lines
	lines []string
}

// openGate returns one that does not hold up anything.
func openGate() *gate {
	g := &gate{open: make(chan struct{})}
	close(g.open)
	return g
}

// take returns the lines since the last call.
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

// quietSettings let an endpoint be without a log.
var quietSettings = settings{log: &asyncLog{logger: slog.New(slog.DiscardHandler)}}

// nothing is a connection that nothing happens on.
type nothing struct{ mangos.TranPipe }

func (nothing) Close() error { return nil }

// clock tells times in milliseconds since its start.
type clock struct{ start time.Time }

func newClock() clock { return clock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c clock) at(millis int) time.Time { return c.start.Add(time.Duration(millis) * ms) }

// expectAt compares a time with one in milliseconds since the clock's start; -1 is the zero time.
func (c clock) expectAt(t *testing.T, what string, got time.Time, want int) {
	t.Helper()
	wanted := c.at(want)
	if want == -1 {
		wanted = time.Time{}
	}
	if !got.Equal(wanted) {
		t.Errorf("%s: got %v, want %v", what, got.Sub(c.start), wanted.Sub(c.start))
	}
}

// rang reports whether the bell has rung since the last call.
func rang(b bell) bool {
	select {
	case <-b:
		return true
	default:
		return false
	}
}

// fakePipe is a connection of mangos that nothing is behind.
type fakePipe struct {
	protocol.Pipe
	busy chan struct{} // keeps messages from being sent until it is closed

	mu     sync.Mutex // guards the fields below
	in     []string   // what the other side says
	sent   []string
	closed bool
}

// newFakePipe returns one whose other side says something and then hangs up.
func newFakePipe(says ...string) *fakePipe {
	f := &fakePipe{in: says, busy: make(chan struct{})}
	close(f.busy)
	return f
}

func (f *fakePipe) SendMsg(m *mangos.Message) error {
	<-f.busy
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
	f.closed = true
	return nil
}

func (f *fakePipe) isClosed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}

// take returns what was sent since the last call.
func (f *fakePipe) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	sent := f.sent
	f.sent = nil
	return sent
}
