package cli

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// stallListener gives the writes of its connections a deadline. The timeouts of
// http.Server are for a whole request or response, which may be long.
type stallListener struct{ net.Listener }

func (l stallListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return stallConn{conn}, nil
}

type stallConn struct{ net.Conn }

func (c stallConn) Write(b []byte) (written int, err error) {
	for {
		if err := c.SetWriteDeadline(time.Now().Add(stallTime)); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(b[written:])
		written += n
		if n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return written, err
		}
	}
}

// CloseWrite is for http.Server, which so tells the client that it may no
// longer send the rest of its request.
func (c stallConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// stallHandler gives each read from the body of a request a deadline.
type stallHandler struct{ http.Handler }

func (h stallHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Body == http.NoBody {
		h.Handler.ServeHTTP(w, r)
		return
	}
	body := &stallBody{ReadCloser: r.Body, control: http.NewResponseController(w)}
	body.extend()
	defer body.end()
	// Not r itself: http.Server looks at its body again.
	r = r.WithContext(r.Context())
	r.Body = body
	h.Handler.ServeHTTP(w, r)
}

// stallBody is the body of a request. There is a deadline until all of it has
// been read, also while nothing reads from it: http.Server reads the rest of a
// body that a handler does not want.
type stallBody struct {
	io.ReadCloser
	control *http.ResponseController

	mu    sync.Mutex // guards the deadline
	ended bool       // http.Server sets it, not this
}

func (b *stallBody) Read(p []byte) (int, error) {
	b.extend()
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.end()
	}
	return n, err
}

// end leaves the deadline to http.Server: at the end of the body, from which on
// it reads ahead to learn that the client has gone, and when the handler has
// returned, although what it has started may still read.
func (b *stallBody) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
}

func (b *stallBody) extend() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended {
		_ = b.control.SetReadDeadline(time.Now().Add(stallTime)) // fails when the connection does
	}
}
