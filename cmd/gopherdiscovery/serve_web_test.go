package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/cli"
	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

func TestGuard(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		address, names, host string
		code                 int
	}{
		{"127.0.0.1", "Peers.example:443", "127.0.0.1:20007", http.StatusOK},
		{"127.0.0.1", "Peers.example:443", "10.0.0.2", http.StatusOK}, // an address means one host
		{"127.0.0.1", "Peers.example:443", "localhost:20007", http.StatusOK},
		{"127.0.0.1", "Peers.example:443", "LocalHost", http.StatusOK},
		{"127.0.0.1", "Peers.example:443", "", http.StatusOK}, // of HTTP/1.0
		{"::1", "Peers.example:443", "[::1]:20007", http.StatusOK},
		{"127.0.0.1", "Peers.example:443", "peers.example:20007", http.StatusOK},
		{"127.0.0.1", "Peers.example:443", "Peers.Example", http.StatusOK},
		{"127.0.0.1", "Peers.example:443", "evil.example:20007", http.StatusForbidden},
		{"127.0.0.2", "Peers.example:443", "evil.example", http.StatusForbidden},
		{"::1", "Peers.example:443", "evil.example", http.StatusForbidden},
		{"127.0.0.1", "Peers.example:443", "127.0.0.1.evil.example", http.StatusForbidden},
		{"127.0.0.1", "Peers.example:443", "localhost.evil.example", http.StatusForbidden},
		{"0.0.0.0", "", "evil.example", http.StatusOK},
		{"10.0.0.1", "", "server.example", http.StatusOK},
		{"127.0.0.1", "", "evil.example", http.StatusForbidden},
		{"0.0.0.0", "peers.example", "peers.example", http.StatusOK},
		{"0.0.0.0", "peers.example", "10.0.0.2", http.StatusOK},
		{"0.0.0.0", "peers.example", "evil.example", http.StatusForbidden},
	} {
		t.Run(test.address+" "+test.names+" "+test.host, func(t *testing.T) {
			t.Parallel()
			guarded := guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
				&net.TCPAddr{IP: net.ParseIP(test.address)}, test.names)
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Host = test.host
			w := httptest.NewRecorder()
			guarded.ServeHTTP(w, r)
			if w.Code != test.code {
				t.Errorf("%d %s, want %d", w.Code, w.Body, test.code)
			}
		})
	}
}

// A client that sends its body slowly, or reads slowly, is not waited for any
// longer than one that waits for news.
func TestSlowHTTPClient(t *testing.T) {
	for name, request := range map[string]string{
		"sends nothing of its body": "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n",
		"reads nothing":             "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"is refused":                "POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 10\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				listener := clitest.NewMemory(t)
				server := clitest.StartServer(t, "inproc://survey", "inproc://pubsub", gopherdiscovery.Options{})
				handler := webHandler(server, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, "", clitest.Quiet.Logger)
				served := make(chan error)
				go func() { served <- cli.Serve(ctx, listener, handler, clitest.Quiet.Logger) }()
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
