package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/browser"
)

// ask returns an answer of the proxy itself, and its header.
func ask(t *testing.T, url string) (string, http.Header) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var text strings.Builder
	if err := answer.Write(&text); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, error %v, want 200", url, answer.Status, err)
	}
	return text.String(), answer.Header
}

func askStatus(t *testing.T, page string) (s status) {
	t.Helper()
	text, _ := ask(t, page+"/status.json")
	_, body, _ := strings.Cut(text, "\r\n\r\n")
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return s
}

func TestStatusPage(t *testing.T) {
	t.Parallel()
	hostile := `http://127.0.0.1:1/"'></td><script>alert(1)</script>`
	lb, proxy := newProxy(t, echo(t), hostile)
	if code, _, err := request(t, "GET", proxy, ""); code != http.StatusOK || err != nil {
		t.Fatalf("answer %d, error %v, want 200", code, err)
	}
	server := httptest.NewServer(lb.statusHandler())
	t.Cleanup(server.Close)
	page, header := ask(t, server.URL+"/")
	row := regexp.MustCompile(`<tr><td>` + regexp.QuoteMeta(lb.backends[0].name) + `<td>\d+s<td>1<td>0<td>0`)
	if !row.MatchString(page) {
		t.Errorf("no row %s in\n%s", row, page)
	}
	if !strings.Contains(page, `<dd id="requests">1<`) {
		t.Errorf("no count of requests in\n%s", page)
	}
	if strings.Contains(page, "<script>") || !strings.Contains(page, "&lt;script&gt;alert(1)") {
		t.Errorf("a name is not escaped in\n%s", page)
	}
	nonce := regexp.MustCompile(`<script nonce="(\w+)">`).FindStringSubmatch(page)
	if policy := header.Get("Content-Security-Policy"); nonce == nil || !strings.Contains(policy, "script-src 'nonce-"+nonce[1]+"'") {
		t.Errorf("policy %q, want it to allow the script with the nonce %q and no other", policy, nonce)
	}
	if other, _ := ask(t, server.URL+"/"); strings.Contains(other, nonce[1]) {
		t.Errorf("the nonce %s comes twice", nonce[1])
	}

	s := askStatus(t, server.URL)
	if s.Requests != 1 || len(s.Backends) != 2 || s.Backends[1].Name != hostile || s.Backends[1].Since.IsZero() {
		t.Errorf("status %+v, want one request and both backends", s)
	}
	setBackends(lb)
	if text, _ := ask(t, server.URL+"/status.json"); !strings.Contains(text, `"backends":[]`) {
		t.Errorf("status without a backend: %s, want an empty list", text)
	}
}

func TestStatusPageInBrowser(t *testing.T) {
	t.Parallel()
	lb, _ := newProxy(t, echo(t))
	server := httptest.NewServer(lb.statusHandler())
	t.Cleanup(server.Close)
	page, console := browser.Load(t, strings.Replace(server.URL, "://", "://user:password@", 1), "--virtual-time-budget=1000")
	if want := `<p id="state" class="">live</p>`; !strings.Contains(page, want) || len(console) > 0 {
		t.Errorf("%s\nwant %s in it, and nothing on the console: %s", page, want, console)
	}
}

// The picture in the documents is of this page.
func TestStatusPicture(t *testing.T) {
	t.Parallel()
	lb, _ := newProxy(t, "http://10.0.0.2:8080", "http://10.0.0.3:8080", "http://10.0.0.4:8080")
	lb.requests.Store(2219)
	lb.retried.Store(3)
	for i, requests := range []int64{778, 778, 445} {
		b := lb.backends[i]
		b.since = b.since.Add(-90 * time.Second)
		b.requests.Store(requests)
		b.inFlight.Store(2)
	}
	server := httptest.NewServer(lb.statusHandler())
	t.Cleanup(server.Close)
	browser.Picture(t, server.URL, "../../docs/status.png", 900, 370)
}
