package web_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/cli"
	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

var paths = []string{"/", "/peers", "/prometheus/sd", "/metrics", "/healthz", "/readyz"}

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, io.EOF
}

func TestNoBodyIsRead(t *testing.T) {
	t.Parallel()
	h, _ := handler(t, newServer())
	for _, path := range paths {
		for _, kind := range []string{"multipart/form-data; boundary=x", "application/x-www-form-urlencoded"} {
			r := httptest.NewRequest(http.MethodGet, path, unread{t})
			r.Header.Set("Content-Type", kind)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			want(t, w, http.StatusOK)
		}
	}
}

// A client that sends its body slowly, or reads slowly, is not waited for any
// longer than one that waits for news.
func TestSlowClient(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"sends nothing of its body": "GET /peers HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n",
		"reads nothing":             "GET /peers HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				listener := clitest.NewMemory(t)
				h, _ := handler(t, newServer())
				served := make(chan error)
				go func() { served <- cli.Serve(ctx, listener, h, clitest.Quiet.Logger) }()
				conn, err := listener.Dial()
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if _, err := io.WriteString(conn, request); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if err := conn.SetDeadline(time.Now()); !errors.Is(err, io.ErrClosedPipe) {
					t.Errorf("error %v after a minute, want the connection to be closed", err)
				}
				cancel()
				if err := <-served; err != nil {
					t.Errorf("Serve: %v, want nil", err)
				}
			})
		})
	}
}
