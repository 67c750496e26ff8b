//go:build unix

package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"syscall"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

func TestServeShowsTheList(t *testing.T) {
	t.Parallel()
	_, server, pubsub, url := startServe(t, "-http", "127.0.0.1:0")
	etag := awaitBody(t, url+"/peers", "[]\n")
	answers := waitFor(t, url+"/peers?wait=30s", etag)
	clitest.Join(t, clitest.Quiet, server, "http://10.0.0.2:8080")
	const want = `["http://10.0.0.2:8080"]` + "\n"
	if got := <-answers; got.code != http.StatusServiceUnavailable && (got.code != http.StatusOK || got.body != want) {
		t.Errorf("/peers?wait=30s when one has joined: %d %q, want 200 and %q", got.code, got.body, want)
	}
	awaitBody(t, url+"/peers", want)
	awaitBody(t, url+"/prometheus/sd", `[{"targets":["10.0.0.2:8080"],"labels":{"__meta_gopherdiscovery_name":"http://10.0.0.2:8080","__scheme__":"http"}}]`+"\n")
	if _, body := get(t, url+"/"); !strings.Contains(body, ">http://10.0.0.2:8080<") || !strings.Contains(body, pubsub) {
		t.Errorf("/:\n%s\nwant the name and %s", body, pubsub)
	}
}

// A client that waits is answered at the end, and not cut off.
func TestServeEndsWhileAClientWaits(t *testing.T) {
	t.Parallel()
	var got httpAnswer
	for range 5 { // a request that has not been read at the end is not answered
		// There is no news.
		p, _, _, url := startServe(t, "-http", "127.0.0.1:0", "-poll-time", "1h", "-return-time", "1h")
		header, _ := get(t, url+"/")
		answers := waitFor(t, url+"/?wait=30s", header.Get("ETag"))
		get(t, url+"/healthz") // gives it time to be read
		p.Signal(syscall.SIGTERM)
		if _, stderr, code := p.Wait(); code != 0 {
			t.Errorf("exit code %d, stderr %q, want 0", code, stderr)
		}
		if got = <-answers; got.code == http.StatusServiceUnavailable {
			return
		}
	}
	t.Errorf("/?wait=30s at the end: %d %.100q, want 503", got.code, got.body)
}

func TestServeIncompleteList(t *testing.T) {
	t.Parallel()
	_, server, pubsub, url := startServe(t, "-http", "127.0.0.1:0", "-return-time", "1h")
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

// awaitBody returns the ETag when the answer has this body. A server is
// incomplete for a while after its start.
func awaitBody(t *testing.T, url, want string) (etag string) {
	t.Helper()
	testmain.Eventually(t, clitest.Patience, func() string {
		code, header, body := ask(t, url)
		if code == http.StatusOK && body == want {
			etag = header.Get("ETag")
			return ""
		}
		return fmt.Sprintf("%s answers %d %q, want 200 and %q", url, code, body, want)
	})
	return etag
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

// Another site of a browser on this machine has a name that resolves to it.
func TestServeRefusesForeignHosts(t *testing.T) {
	t.Parallel()
	_, _, _, url := startServe(t, "-http", "127.0.0.1:0", "-http-host", "a.example,Peers.Example")
	for host, want := range map[string]int{"evil.example": http.StatusForbidden, "peers.example": http.StatusOK} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host, r.Close = host, true
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("the host %s: %s, want %d", host, response.Status, want)
		}
	}
}
