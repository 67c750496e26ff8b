// Package logtest lets tests see what is logged, and loggers hang.
package logtest

import (
	"context"
	"log/slog"
	"sync"
)

// A Gate is a log handler that blocks until it is opened.
type Gate struct {
	Open chan struct{} // lines are logged once it is closed

	mu    sync.Mutex // guards lines
	lines []string
}

// OpenGate returns a Gate that does not block.
func OpenGate() *Gate {
	g := &Gate{Open: make(chan struct{})}
	close(g.Open)
	return g
}

// Take returns the lines logged since the last call.
func (g *Gate) Take() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	lines := g.lines
	g.lines = nil
	return lines
}

func (g *Gate) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (g *Gate) WithAttrs([]slog.Attr) slog.Handler               { return g }
func (g *Gate) WithGroup(string) slog.Handler                    { return g }

func (g *Gate) Handle(_ context.Context, r slog.Record) error {
	<-g.Open
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
