package web_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/browser"
)

// The page says all without a script.
func TestPage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		h := handler(t, s)
		want(t, get(h, "/"), http.StatusOK, "Nobody.", "Nothing since the server started.", "<title>0 peers", "tcp://10.0.0.1:40007", "tcp://10.0.0.1:50007")

		time.Sleep(time.Hour) // the clock of a bubble starts on 2000-01-01
		s.set("http://10.0.0.2:8080", "http://gone")
		get(h, "/") // sees it now, not at the next look
		time.Sleep(time.Minute)
		s.set("http://10.0.0.2:8080")
		get(h, "/")
		time.Sleep(5 * time.Second)
		w := get(h, "/")
		html := w.Body.String()
		want(t, w, http.StatusOK, "<title>1 peer ", `<dd id="total">1`)
		peers, changes, found := strings.Cut(html, "What changed lately")
		if !found || strings.Count(peers, `class="name"`) != 1 || strings.Contains(peers, "Nobody") {
			t.Errorf("%s\nwant one peer", html)
		}
		for _, word := range []string{">http://10.0.0.2:8080<", ">2000-01-01 01:00:00 UTC<", ">1m5s\n"} {
			if !strings.Contains(peers, word) {
				t.Errorf("%s\nwant %s among the peers", peers, word)
			}
		}
		rows := strings.Split(changes, `<td class="name">`)[1:]
		for i, words := range [][]string{
			{"http://gone<", ">left<", ">2000-01-01 01:01:00 UTC<", ">5s\n"},
			{"http://gone<", ">joined<", ">2000-01-01 01:00:00 UTC<", ">1m5s\n"},
			{"http://10.0.0.2:8080<", ">joined<", ">1m5s\n"},
		} {
			for _, word := range words {
				if len(rows) != 3 || !strings.Contains(rows[i], word) {
					t.Errorf("changes %q, want 3, and %s in that of index %d", rows, word, i)
				}
			}
		}
		if strings.Contains(html, "not complete") {
			t.Errorf("%s\nwant a complete list", html)
		}
		s.change(func(stats *gopherdiscovery.Stats) { stats.Clients, stats.Subscribers = 7, 0 })
		want(t, get(h, "/"), http.StatusOK, "<dd>7", "<dd>0")
		s.change(func(stats *gopherdiscovery.Stats) { stats.Subscribers = 8 })
		want(t, get(h, "/"), http.StatusOK, "<dd>7", "<dd>8")
		s.setComplete(false)
		want(t, get(h, "/"), http.StatusOK, "The list is not complete yet", ">http://10.0.0.2:8080<")
	})
}

// Whoever is there when the handler is made has not joined then.
func TestPageOfServerThatRuns(t *testing.T) {
	t.Parallel()
	h := handler(t, newServer("http://10.0.0.2:8080"))
	want(t, get(h, "/"), http.StatusOK, ">http://10.0.0.2:8080<", "Nothing since")
}

func TestPageIsBounded(t *testing.T) {
	t.Parallel()
	s := newServer()
	h := handler(t, s)
	names := make([]string, 1003)
	for round := range 3 {
		for i := range names {
			names[i] = fmt.Sprintf("%d-%d", round, i)
		}
		s.set(names...)
		get(h, "/")
	}
	w := get(h, "/")
	if got := strings.Count(w.Body.String(), `class="name"`); got != 1000+50 {
		t.Errorf("%d names on the page, want 1000 in the list and 50 changes", got)
	}
	want(t, w, http.StatusOK, `3 more are in <a href="peers">`, `<dd id="total">1003`)
}

const nasty = `http://x/</title><script>document.title="owned"</script><img src=x onerror='document.title="owned"'>"'&`

func TestPageIsSafe(t *testing.T) {
	t.Parallel()
	h := handler(t, newServer(nasty))
	w := get(h, "/")
	if html := w.Body.String(); strings.Count(html, "<script") != 1 || strings.Contains(html, "<img") {
		t.Errorf("%s\nwant the name escaped", html)
	}
	policy := w.Header().Get("Content-Security-Policy")
	_, nonce, _ := strings.Cut(policy, "script-src 'nonce-")
	nonce, _, _ = strings.Cut(nonce, "'")
	if !strings.HasPrefix(policy, "default-src 'none'; ") || len(nonce) < 20 {
		t.Errorf("Content-Security-Policy %q, want nothing but the page's own", policy)
	}
	want(t, w, http.StatusOK, `<script nonce="`+nonce+`">`, `<style nonce="`+nonce+`">`)
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q, want no-store: a page from a cache would come with another nonce", got)
	}
	if again := get(h, "/").Header().Get("Content-Security-Policy"); again == policy {
		t.Error("the same nonce twice")
	}
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	h := handler(t, newServer())
	want(t, get(h, "/nothing"), http.StatusNotFound)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/peers", nil))
	want(t, w, http.StatusMethodNotAllowed)
}

// A browser shows a name that joins after the page was loaded, and runs nothing
// of what names say.
func TestPageInBrowser(t *testing.T) {
	t.Parallel()
	for _, user := range []string{"", "user:password@"} {
		t.Run("http://"+user, func(t *testing.T) {
			t.Parallel()
			s := newServer("http://before")
			h := handler(t, s)
			var join sync.Once
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Has("wait") { // asked by the script, for the page that it has got
					join.Do(func() { s.set("http://before", nasty, "http://late") })
					r.URL.RawQuery = "wait=1ms" // the browser's clock stands still while it waits
				}
				h.ServeHTTP(w, r)
			}))
			defer server.Close()
			page := browser.Load(t, strings.Replace(server.URL, "://", "://"+user, 1), "--virtual-time-budget=3000")
			for _, word := range []string{
				"<title>3 peers ", ">http://before<", ">http://late<", ">http://x/&lt;/title&gt;", `<small id="state" class="">live<`,
			} {
				if !strings.Contains(page, word) {
					t.Errorf("%s\nwant %s in it", page, word)
				}
			}
			if strings.Contains(page, ">owned") {
				t.Errorf("%s\na name has changed the title", page)
			}
		})
	}
}

// A browser notices that the server hangs.
func TestPageOfServerThatHangs(t *testing.T) {
	t.Parallel()
	h := handler(t, newServer())
	const patience = "patience = 15000;"
	html := get(h, "/").Body.String()
	if strings.Count(html, patience) != 1 {
		t.Fatalf("%s\nwant %s in it", html, patience)
	}
	// The page is complete, and the browser ends, with its image.
	html = strings.Replace(html, patience, "patience = 100;", 1) + `<img src="image">`
	var asked atomic.Int32
	again := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/image":
			select {
			case <-again:
			case <-r.Context().Done():
			}
		case !r.URL.Query().Has("wait"):
			_, _ = io.WriteString(w, html)
		default:
			if asked.Add(1) == 2 { // the script has given up its first question
				close(again)
			}
			<-r.Context().Done()
		}
	}))
	defer server.Close()
	if page, want := browser.Load(t, server.URL), ">the server does not answer<"; !strings.Contains(page, want) {
		t.Errorf("%s\nwant %s in it", page, want)
	}
}
