package balance_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery/integrations/balance"
)

func TestWaitForTheFirstList(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lists := make(chan []string)
		transport := balance.New(lists, balance.Options{Base: roundTripper(func(r *http.Request) (*http.Response, error) {
			return respond(r, http.StatusOK), nil
		})})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		r := newRequest(t, http.MethodPost, "").WithContext(ctx)
		r.Body = newCloseOnce(t, strings.NewReader("text"))
		_, err := transport.RoundTrip(r)
		var timeout interface{ Timeout() bool }
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("error %v, want a timeout that matches DeadlineExceeded", err)
		}
		if waited := time.Since(start); waited != time.Minute {
			t.Errorf("returned after %v, want after the minute of its context", waited)
		}

		answered := make(chan error)
		go func() {
			_, err := transport.RoundTrip(newRequest(t, http.MethodGet, ""))
			answered <- err
		}()
		synctest.Wait()
		select {
		case err := <-answered:
			t.Fatalf("returned %v before the first list", err)
		default:
		}
		lists <- []string{"http://a"}
		if err := <-answered; err != nil {
			t.Errorf("after the first list: %v, want a response", err)
		}
		close(lists)
		synctest.Wait()
		r = newRequest(t, http.MethodPost, "")
		r.Body = newCloseOnce(t, strings.NewReader("text"))
		if _, err := transport.RoundTrip(r); !errors.Is(err, balance.ErrClosed) {
			t.Errorf("after the last list: %v, want ErrClosed", err)
		}
	})
}

func TestClosedBeforeTheFirstList(t *testing.T) {
	t.Parallel()
	lists := make(chan []string)
	transport := balance.New(lists, balance.Options{})
	answered := make(chan error)
	go func() {
		_, err := transport.RoundTrip(newRequest(t, http.MethodGet, ""))
		answered <- err
	}()
	close(lists)
	if err := <-answered; !errors.Is(err, balance.ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
}

func TestNoBackend(t *testing.T) {
	t.Parallel()
	transport, _ := newTransport(t, nil)
	client := &http.Client{Transport: transport}
	r := newRequest(t, http.MethodPost, "")
	r.Body = newCloseOnce(t, strings.NewReader("text"))
	if _, err := client.Do(r); !errors.Is(err, balance.ErrNoBackend) {
		t.Errorf("error %v, want ErrNoBackend", err)
	}
}

// Of a list of several kinds a transport uses its own, and other names are no
// reason for a line in the log.
func TestMatch(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	lists := make(chan []string)
	defer close(lists)
	transport := balance.New(lists, balance.Options{
		Base: roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host != "10.0.0.2:80" {
				t.Errorf("a request goes to %s", r.URL)
			}
			return respond(r, http.StatusOK), nil
		}),
		Match:  "orders+*",
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	lists <- []string{"a name", "http://10.0.0.1:80", "items+http://10.0.0.3:80", "orders+http://10.0.0.2:80"}
	for range 3 {
		if _, err := transport.RoundTrip(newRequest(t, http.MethodGet, "")); err != nil {
			t.Error(err)
		}
	}
	lists <- []string{"http://10.0.0.1:80"}
	lists <- []string{"http://10.0.0.1:80"}
	if _, err := transport.RoundTrip(newRequest(t, http.MethodGet, "")); !errors.Is(err, balance.ErrNoBackend) {
		t.Errorf("error %v, want ErrNoBackend", err)
	}
	if log.Len() > 0 {
		t.Errorf("the log is not empty:\n%s", &log)
	}
}

// There need not be a list for that.
func TestBadMatch(t *testing.T) {
	t.Parallel()
	lists := make(chan []string)
	defer close(lists)
	transport := balance.New(lists, balance.Options{Match: "orders+*|items+*"})
	_, err := transport.RoundTrip(newRequest(t, http.MethodGet, ""))
	if err == nil || !strings.Contains(err.Error(), `balance: Options.Match "orders+*|items+*": `) {
		t.Errorf("error %v, want one that names the option", err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	lists := make(chan []string)
	defer close(lists)
	got := make(chan string, 1)
	transport := balance.New(lists, balance.Options{
		Base: roundTripper(func(r *http.Request) (*http.Response, error) {
			got <- r.URL.String()
			return respond(r, http.StatusOK), nil
		}),
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	for name, want := range map[string]string{
		"http://10.0.0.2:8080":           "http://10.0.0.2:8080/",
		"https://a.example":              "https://a.example/",
		"http://10.0.0.2:8080/base":      "http://10.0.0.2:8080/base/",
		"http://10.0.0.2:8080/base/":     "http://10.0.0.2:8080/base/",
		"http://[fe80::1%25eth0]:8080":   "http://[fe80::1%25eth0]:8080/",
		"orders+http://10.0.0.2:8080":    "http://10.0.0.2:8080/",
		"orders+ftp://10.0.0.2:8080":     "",
		"10.0.0.2:8080":                  "",
		"a name":                         "",
		"http://":                        "",
		"http://:8080":                   "",
		"http://127.0.0.1:%":             "",
		"mailto:nobody":                  "",
		"javascript:alert(1)":            "",
		"ftp://10.0.0.2":                 "",
		"http://user:pass@10.0.0.2:8080": "",
		"http://10.0.0.2:8080/?q=1":      "",
		"http://10.0.0.2:8080/?":         "",
		"http://10.0.0.2:8080/#f":        "",
	} {
		lists <- []string{}
		log.Reset() // run is between two lists
		lists <- []string{name}
		lists <- []string{name}
		lists <- []string{name}
		lines := strings.Count(log.String(), "\n")
		_, err := transport.RoundTrip(newRequest(t, http.MethodGet, ""))
		if want == "" {
			if !errors.Is(err, balance.ErrNoBackend) || lines != 1 {
				t.Errorf("%s: error %v, log %q, want ErrNoBackend and one line", name, err, &log)
			}
			continue
		}
		if err != nil || lines != 0 {
			t.Errorf("%s: error %v, log %q, want none", name, err, &log)
			continue
		}
		if got := <-got; got != want {
			t.Errorf("%s: the URL of the request is %s, want %s", name, got, want)
		}
	}
}

func TestRequestIsClonedForTheBackend(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		url, host string // of the request
		want      string // of what is sent: Host, and URL
	}{
		{"http://orders/a//b/../c", "orders", "10.0.0.2:8080 http://10.0.0.2:8080/base/a//b/../c"},
		{"https://orders/%2f?x=1&y=a%20b;z", "orders", "10.0.0.2:8080 http://10.0.0.2:8080/base/%2f?x=1&y=a%20b;z"},
		{"http://orders", "", "10.0.0.2:8080 http://10.0.0.2:8080/base/"},
		{"http://orders/", "a.example", "a.example http://10.0.0.2:8080/base/"},
		{"/path", "", "10.0.0.2:8080 http://10.0.0.2:8080/base/path"},
	} {
		t.Run(test.url+" "+test.host, func(t *testing.T) {
			t.Parallel()
			var got string
			base := roundTripper(func(r *http.Request) (*http.Response, error) {
				r.Header.Set("Changed", "by the base")
				host := r.Host
				if host == "" {
					host = r.URL.Host // as http.Transport does
				}
				got = host + " " + r.URL.String()
				return respond(r, http.StatusOK), nil
			})
			transport, _ := newTransport(t, base, "http://10.0.0.2:8080/base")
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, test.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = test.host
			r.Header.Set("Header", "value")
			before := r.Clone(r.Context())
			response, err := transport.RoundTrip(r)
			if err != nil || got != test.want {
				t.Errorf("sent %q, error %v, want %q", got, err, test.want)
			}
			if !reflect.DeepEqual(r, before) {
				t.Errorf("the request is now %+v, want it unchanged: %+v", r, before)
			}
			if host := response.Request.URL.Host; host != "10.0.0.2:8080" {
				t.Errorf("the response names the host %q, want that of its backend", host)
			}
		})
	}
}

func TestSwitchingProtocols(t *testing.T) {
	t.Parallel()
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		response := respond(r, http.StatusSwitchingProtocols)
		response.Body = struct {
			io.Reader
			io.WriteCloser
		}{strings.NewReader(""), nopWriteCloser{io.Discard}}
		return response, nil
	})
	transport, _ := newTransport(t, base, "http://a")
	response, err := transport.RoundTrip(newRequest(t, http.MethodGet, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, ok := response.Body.(io.ReadWriteCloser); !ok {
		t.Errorf("the body is a %T, want one that can be written to", response.Body)
	}
	// This base has no such method.
	if err := response.Body.(interface{ CloseWrite() error }).CloseWrite(); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("CloseWrite: error %v, want ErrNotSupported", err)
	}
}

// The backend answers when it has seen the end of what it is sent.
func TestSwitchedProtocolHalfClosed(t *testing.T) {
	t.Parallel()
	backend := newBackend(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, stream, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("hijack: %v", err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		text, err := io.ReadAll(stream)
		if err != nil {
			t.Errorf("the backend reads %q, error %v, want the end", text, err)
		}
		_, _ = conn.Write(text)
	})
	transport, _ := newTransport(t, nil, backend)
	r := newRequest(t, http.MethodGet, "")
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "echo")
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.WriteString(response.Body.(io.Writer), "text"); err != nil {
		t.Fatal(err)
	}
	half, ok := response.Body.(interface{ CloseWrite() error })
	if !ok {
		t.Fatalf("the body is a %T, want one with CloseWrite", response.Body)
	}
	if err := half.CloseWrite(); err != nil {
		t.Errorf("CloseWrite: %v", err)
	}
	if text, err := io.ReadAll(response.Body); string(text) != "text" || err != nil {
		t.Errorf("the answer is %q, error %v, want text", text, err)
	}
}

type nopWriteCloser struct{ io.Writer }

func (nopWriteCloser) Close() error { return nil }

// Backends are mostly where no proxy leads to.
func TestNoProxy(t *testing.T) {
	t.Parallel()
	if balance.NewBase().Proxy != nil {
		t.Error("the transport to the backends uses a proxy, want none")
	}
}
