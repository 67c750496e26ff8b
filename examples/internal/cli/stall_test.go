package cli_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery/examples/internal/cli"
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

// inBubble runs the test in a bubble, with a connection to a server of the
// handler.
func inBubble(t *testing.T, handler http.HandlerFunc, test func(t *testing.T, conn net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		listener := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
		served := make(chan error, 1)
		go func() { served <- cli.Serve(ctx, listener, handler, slog.New(slog.DiscardHandler)) }()
		conn, accepted := net.Pipe()
		listener.conns <- accepted
		test(t, conn)
		_ = conn.Close()
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v, want nil", err)
		}
	})
}

// wantEnd wants the connection to end after this time, give or take the half
// second that http.Server lingers after a response. It returns what came
// before.
func wantEnd(t *testing.T, conn net.Conn, want time.Duration) string {
	t.Helper()
	start := time.Now()
	text, err := io.ReadAll(conn)
	if got := time.Since(start); err != nil || got < want || got > want+time.Second {
		t.Errorf("the connection ended after %v, error %v, want %v", got, err, want)
	}
	return string(text)
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

func answer(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "done") }

func TestSilentConnections(t *testing.T) {
	t.Parallel()
	const get = "GET / HTTP/1.1\r\nHost: a\r\n"
	read := func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
		answer(w, r)
	}
	late := func(_ http.ResponseWriter, r *http.Request) {
		go func() {
			time.Sleep(100 * time.Second)
			_, _ = io.Copy(io.Discard, r.Body)
		}()
	}
	long := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat(".", 8<<10)) }
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		send    string
		want    time.Duration
	}{
		{"nothing", answer, "", 10 * time.Second},
		{"half a header", answer, get, 10 * time.Second},
		{"between requests", answer, get + "\r\n", 2 * time.Minute},
		{"no body, read", read, get + "Content-Length: 9\r\n\r\n", time.Minute},
		{"half a body, read", read, get + "Content-Length: 9\r\n\r\nbody", time.Minute},
		{"no chunk, read", read, get + "Transfer-Encoding: chunked\r\n\r\n", time.Minute},
		{"no body, unread", answer, get + "Content-Length: 9\r\n\r\n", time.Minute},
		{"no body, unread, long answer", long, get + "Content-Length: 9\r\n\r\n", time.Minute},
		{"between requests, after a body", read, get + "Content-Length: 4\r\n\r\nbody", 2 * time.Minute},
		{"between requests, read late", late, get + "Content-Length: 4\r\n\r\nbody", 2 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, test.handler, func(t *testing.T, conn net.Conn) {
				send(t, conn, test.send)
				wantEnd(t, conn, test.want)
			})
		})
	}
}

// A handler that does not ask for the body answers without it (RFC 9110,
// section 10.1.1).
func TestBodyThatIsNotAskedFor(t *testing.T) {
	t.Parallel()
	inBubble(t, answer, func(t *testing.T, conn net.Conn) {
		send(t, conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
		start := time.Now()
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := time.Since(start); response.StatusCode != http.StatusOK || got != 0 {
			t.Errorf("%s after %v, want 200 at once", response.Status, got)
		}
	})
}

// A client that takes nothing of the response blocks a write.
func TestReaderThatStalls(t *testing.T) {
	t.Parallel()
	var failed atomic.Int64
	handler := func(w http.ResponseWriter, _ *http.Request) {
		start := time.Now()
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				failed.Store(int64(time.Since(start)))
				return
			}
		}
	}
	inBubble(t, handler, func(t *testing.T, conn net.Conn) {
		send(t, conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		time.Sleep(10 * time.Minute)
		if got := time.Duration(failed.Load()); got != time.Minute {
			t.Errorf("the write failed after %v, want 1m0s", got)
		}
	})
}

// The work on a request, its body and its response may each take longer than
// any silence.
func TestSlowIsNotSilent(t *testing.T) {
	t.Parallel()
	const pause, steps = 50 * time.Second, 10
	handler := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		_, _ = r.Body.Read(make([]byte, 1)) // has ended, and does so again
		time.Sleep(pause * steps)
		for range steps {
			fmt.Fprintf(w, "%s ", body)
			_ = http.NewResponseController(w).Flush()
			time.Sleep(pause)
		}
		if r.Context().Err() != nil {
			fmt.Fprint(w, "but the context has ended")
		}
	}
	for _, test := range []struct{ name, header, body string }{
		{"without a body", "", ""},
		{"with a body", fmt.Sprintf("Content-Length: %d\r\n", steps), strings.Repeat("x", steps)},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, handler, func(t *testing.T, conn net.Conn) {
				in := bufio.NewReader(conn)
				for range 2 { // the second shows that nothing of the first is left
					send(t, conn, "POST / HTTP/1.1\r\nHost: a\r\n"+test.header+"\r\n")
					for _, char := range test.body {
						time.Sleep(pause)
						send(t, conn, string(char))
					}
					response, err := http.ReadResponse(in, nil)
					if err != nil {
						t.Fatal(err)
					}
					got, err := io.ReadAll(response.Body)
					if want := strings.Repeat(test.body+" ", steps); err != nil || string(got) != want {
						t.Fatalf("body %q, error %v, want %q", got, err, want)
					}
				}
			})
		})
	}
}

// A response that is one large write may be taken slowly.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	const size, step, pause = 1 << 20, 10 << 10, 50 * time.Second
	handler := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, size)) }
	inBubble(t, handler, func(t *testing.T, conn net.Conn) {
		send(t, conn, "GET / HTTP/1.0\r\n\r\n")
		got, buffer := 0, make([]byte, step)
		for err := error(nil); err == nil; time.Sleep(pause) {
			var n int
			n, err = io.ReadFull(conn, buffer)
			got += n
		}
		if got < size {
			t.Errorf("%d bytes came, want at least %d", got, size)
		}
	})
}
