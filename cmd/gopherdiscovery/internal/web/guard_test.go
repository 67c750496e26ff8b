package web_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/dahernan/gopherdiscovery/cmd/gopherdiscovery/internal/web"
)

func TestGuard(t *testing.T) {
	t.Parallel()
	h, _ := handler(t, newServer())
	for _, test := range []struct {
		address, host string
		code          int
	}{
		{"127.0.0.1", "127.0.0.1:20007", http.StatusOK},
		{"127.0.0.1", "10.0.0.2", http.StatusOK}, // a proxy's: an address means one host
		{"127.0.0.1", "localhost:20007", http.StatusOK},
		{"127.0.0.1", "LocalHost", http.StatusOK},
		{"127.0.0.1", "", http.StatusOK}, // of HTTP/1.0, which no browser sends
		{"::1", "[::1]:20007", http.StatusOK},
		{"127.0.0.1", "peers.example:20007", http.StatusOK},
		{"127.0.0.1", "Peers.Example", http.StatusOK},
		{"127.0.0.1", "evil.example:20007", http.StatusForbidden},
		{"127.0.0.2", "evil.example", http.StatusForbidden},
		{"::1", "evil.example", http.StatusForbidden},
		{"127.0.0.1", "127.0.0.1.evil.example", http.StatusForbidden},
		{"127.0.0.1", "localhost.evil.example", http.StatusForbidden},
		{"0.0.0.0", "evil.example", http.StatusOK},
		{"10.0.0.1", "server.example", http.StatusOK},
	} {
		t.Run(test.address+" "+test.host, func(t *testing.T) {
			guarded := web.Guard(h, &net.TCPAddr{IP: net.ParseIP(test.address)}, []string{"Peers.example:443"})
			for _, path := range []string{"/", "/peers", "/metrics", "/healthz"} {
				r := httptest.NewRequest(http.MethodGet, path, nil)
				r.Host = test.host
				w := httptest.NewRecorder()
				guarded.ServeHTTP(w, r)
				if w.Code != test.code {
					t.Errorf("%s: %d %s, want %d", path, w.Code, w.Body, test.code)
				}
			}
		})
	}
}
