package balance_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery/integrations/balance"
)

// cable is a connection that can be cut without either side being told.
type cable struct {
	net.Conn
	cut *atomic.Bool
}

func (c cable) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	for err == nil && c.cut.Load() {
		n, err = c.Conn.Read(p)
	}
	return n, err
}

func (c cable) Write(p []byte) (int, error) {
	if c.cut.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// one is a listener with one connection.
type one struct {
	conns chan net.Conn
	close func()
}

func newOne(conn net.Conn) *one {
	conns := make(chan net.Conn, 1)
	conns <- conn
	return &one{conns, sync.OnceFunc(func() { close(conns) })}
}

func (l *one) Accept() (net.Conn, error) {
	if conn, ok := <-l.conns; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (l *one) Close() error {
	l.close()
	return nil
}

func (l *one) Addr() net.Addr { return new(net.TCPAddr) }

// All requests to a backend share one HTTP/2 connection. When that is dead they
// fail for 3 seconds.
func TestDeadConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var http2 http.Protocols
		http2.SetUnencryptedHTTP2(true)
		server := &http.Server{Protocols: &http2, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "text")
		})}
		var serving sync.WaitGroup
		var dials int
		var cut []*atomic.Bool
		base := balance.NewBase()
		base.Protocols = &http2
		base.DialContext = func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			cut = append(cut, new(atomic.Bool))
			serving.Go(func() { _ = server.Serve(newOne(far)) })
			dials++
			return cable{near, cut[dials-1]}, nil
		}
		transport, _ := newTransport(t, base, "http://a")
		get := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			response, err := transport.RoundTrip(newRequest(t, http.MethodGet, "").WithContext(ctx))
			if err != nil {
				return err
			}
			return response.Body.Close()
		}
		if err := get(); err != nil {
			t.Fatal(err)
		}
		cut[0].Store(true)
		start := time.Now()
		if err := get(); err == nil {
			t.Error("no error on a dead connection, want one")
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("failed after %v, want 3 s at most", took)
		}
		if err := get(); err != nil || dials != 2 {
			t.Errorf("error %v, %d connections, want an answer on the second one", err, dials)
		}
		transport.CloseIdleConnections()
		_ = server.Close()
		serving.Wait()
	})
}
