package cli_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/cli"
)

// pipeListener accepts one connection at a time, in memory: in a bubble it
// waits as long as it likes.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	close(l.done)
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// A connection that says nothing is closed, before its first request and
// between two.
func TestSilentConnections(t *testing.T) {
	t.Parallel()
	const get = "GET / HTTP/1.1\r\nHost: a\r\n"
	for _, test := range []struct {
		name, send string
		want       time.Duration
	}{
		{"nothing", "", 10 * time.Second},
		{"half a header", get, 10 * time.Second},
		{"between requests", get + "\r\n", 2 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				listener := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
				served := make(chan error, 1)
				go func() {
					served <- cli.Serve(ctx, listener, http.NotFoundHandler(), slog.New(slog.DiscardHandler))
				}()
				conn, accepted := net.Pipe()
				listener.conns <- accepted
				start := time.Now()
				if _, err := io.WriteString(conn, test.send); err != nil {
					t.Fatal(err)
				}
				// http.Server lingers for half a second after a
				// response.
				_, err := io.Copy(io.Discard, conn)
				if got := time.Since(start); err != nil || got < test.want || got > test.want+time.Second {
					t.Errorf("the connection ended after %v, error %v, want %v", got, err, test.want)
				}
				_ = conn.Close()
				cancel()
				if err := <-served; err != nil {
					t.Errorf("Serve: %v, want nil", err)
				}
			})
		})
	}
}
