//go:build unix

package main

import (
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"syscall"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/clitest"
)

func TestServeShowsTheList(t *testing.T) {
	t.Parallel()
	p, server, pubsub, url := startServe(t, "-http", "127.0.0.1:0")
	awaitReady(t, url)
	header, body := get(t, url+"/peers")
	if body != "[]\n" {
		t.Errorf("/peers of nobody: %q, want []", body)
	}
	answers := waitFor(t, url+"/peers?wait=60s", header.Get("ETag"))
	clitest.Join(t, clitest.Quiet, server, "http://10.0.0.2:8080")
	if got := <-answers; got.code != http.StatusOK || got.body != `["http://10.0.0.2:8080"]`+"\n" {
		t.Errorf("/peers?wait=60s when one has joined: %d %q, want 200 and that one", got.code, got.body)
	}
	if _, body = get(t, url+"/prometheus/sd"); body != `[{"targets":["10.0.0.2:8080"],"labels":{"__scheme__":"http"}}]`+"\n" {
		t.Errorf("/prometheus/sd: %q, want the target", body)
	}
	if _, body = get(t, url+"/"); !strings.Contains(body, ">http://10.0.0.2:8080<") || !strings.Contains(body, pubsub) {
		t.Errorf("/:\n%s\nwant the name and %s", body, pubsub)
	}

	// A client that waits is answered at the end, and not cut off.
	header, _ = get(t, url+"/peers")
	answers = waitFor(t, url+"/peers?wait=60s", header.Get("ETag"))
	p.Signal(syscall.SIGTERM)
	if _, stderr, code := p.Wait(); code != 0 {
		t.Errorf("exit code %d, stderr %q, want 0", code, stderr)
	}
	if got := <-answers; got.code != http.StatusServiceUnavailable {
		t.Errorf("/peers?wait=60s at the end: %d %q, want 503", got.code, got.body)
	}
}

func TestServeIncompleteList(t *testing.T) {
	t.Parallel()
	_, server, pubsub, url := startServe(t, "-http", "127.0.0.1:0", "-poll-time", "1h")
	clitest.Join(t, clitest.Quiet, server, "http://10.0.0.2:8080")
	clitest.AwaitList(t, clitest.Quiet, pubsub, "http://10.0.0.2:8080")
	for _, path := range []string{"/peers", "/prometheus/sd"} {
		if code, _, body := ask(t, url+path); code != http.StatusServiceUnavailable {
			t.Errorf("%s: %d %s, want 503", path, code, body)
		}
	}
	if _, body := get(t, url+"/"); !strings.Contains(body, "not complete") || !strings.Contains(body, ">http://10.0.0.2:8080<") {
		t.Errorf("/:\n%s\nwant the name, and that others may be missing", body)
	}
}

type httpAnswer struct {
	code int
	body string
}

// waitFor asks for something other than what the ETag stands for. It returns
// when the request is on its way.
func waitFor(t *testing.T, url, etag string) <-chan httpAnswer {
	t.Helper()
	sent := make(chan struct{})
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { close(sent) },
	})
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("If-None-Match", etag)
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	answers := make(chan httpAnswer, 1)
	go func() {
		response, err := transport.RoundTrip(request)
		if err != nil {
			answers <- httpAnswer{body: err.Error()}
			return
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		answers <- httpAnswer{response.StatusCode, string(body)}
	}()
	<-sent
	return answers
}
