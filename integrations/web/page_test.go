package web_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/integrations/internal/build"
	"github.com/dahernan/gopherdiscovery/internal/browser"
)

// The page says all without a script.
func TestPage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		h := handler(t, s)
		want(t, get(h, "/"), http.StatusOK, `<noscript><meta http-equiv="refresh" content="30">`)
		want(t, get(h, "/"), http.StatusOK, "Nobody.", "Nothing since 2000-01-01 00:00:00 UTC.", "<title>0 peers", "tcp://10.0.0.1:40007", "tcp://10.0.0.1:50007")

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
		peers, changes, found := strings.Cut(html, "Last changes")
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
		want(t, get(h, "/"), http.StatusOK, "0 to 2 peers in the last hour", `<dt>version<dd>`+build.Version())
		s.setComplete(false)
		want(t, get(h, "/"), http.StatusOK, "The list is not complete yet", ">http://10.0.0.2:8080<")
		if html := get(h, "/").Body.String(); strings.Contains(html, "cannot accept") {
			t.Errorf("%s\nwant no trouble", html)
		}
		s.change(func(stats *gopherdiscovery.Stats) { stats.AcceptErrors++ })
		want(t, get(h, "/"), http.StatusOK, "The server cannot accept connections.")
		time.Sleep(time.Minute)
		etag := get(h, "/").Header().Get("ETag")
		time.Sleep(time.Minute) // and the picture is another
		want(t, get(h, "/", "If-None-Match", etag), http.StatusOK)
	})
}

// Peers that are silent are marked, in words.
func TestPageOfSilence(t *testing.T) {
	t.Parallel()
	s := newServer("http://a", "http://b", "http://c")
	h := handler(t, s)
	etag := ""
	for _, test := range []struct {
		silent []string
		want   string
	}{
		{nil, ""},
		{[]string{"http://b"}, ">1 peer is silent: "},
		{[]string{"http://c"}, ">1 peer is silent: "},
		{[]string{"http://a", "http://c"}, ">2 peers are silent: "},
		{nil, ""},
	} {
		s.setSilent(test.silent...)
		w := get(h, "/", "If-None-Match", etag)
		html := w.Body.String()
		want(t, w, http.StatusOK, test.want)
		etag = w.Header().Get("ETag")
		words := strings.Count(test.want, "silent")
		for _, name := range test.silent {
			words++
			if mark := ">" + name + `<span class="bad"> silent</span><td`; !strings.Contains(html, mark) {
				t.Errorf("%s\nwant %s", html, mark)
			}
		}
		if got := strings.Count(html, " silent"); got != words {
			t.Errorf("%s\n%d times silent, want %d", html, got, words)
		}
	}
}

// While the server doubts its last survey, the page says so.
func TestPageOfDoubt(t *testing.T) {
	t.Parallel()
	s := newServer("http://a", "http://b", "http://c")
	s.change(func(stats *gopherdiscovery.Stats) {
		s.silent = []string{"http://a", "http://b"}
		stats.Polls, stats.Doubted = 7, 3
	})
	h := handler(t, s)
	const doubts = "The server doubts that survey"
	begin := func(stats *gopherdiscovery.Stats) { stats.Polls++ }
	doubt := func(stats *gopherdiscovery.Stats) { stats.Doubted++ }
	count := func(*gopherdiscovery.Stats) {}
	for i, test := range []struct {
		what string
		do   func(*gopherdiscovery.Stats)
		want bool
	}{
		{"a doubt before", count, false},
		{"the begin of a poll", begin, false},
		{"its end with a doubt", doubt, true},
		{"the begin of another poll", begin, true},
		{"its end with a doubt", doubt, true},
		{"the begin of a third poll", begin, true},
		{"its end without", count, true}, // which is not told yet
		{"the begin of a fourth poll", begin, false},
	} {
		s.change(test.do)
		if got := strings.Contains(get(h, "/").Body.String(), doubts); got != test.want {
			t.Errorf("%d, after %s: the page says %q: %t, want %t", i, test.what, doubts, got, test.want)
		}
	}
}

// A peer that is there when the handler is made has not joined then.
func TestPageOfServerThatRuns(t *testing.T) {
	t.Parallel()
	h := handler(t, newServer("http://10.0.0.2:8080"))
	want(t, get(h, "/"), http.StatusOK, ">http://10.0.0.2:8080<", "Nothing since")
}

func TestPageFilter(t *testing.T) {
	t.Parallel()
	s := newServer("cache+http://10.0.0.2:8080", "cache+http://10.0.0.3:8080", "http://10.0.0.3:9090")
	h := handler(t, s)
	s.set("cache+http://10.0.0.2:8080", "http://10.0.0.3:9090")
	stars := strings.Repeat("*", 512) // as long as a name may be
	for filter, want := range map[string][2]int{"": {2, 1}, "10.0.0.3": {1, 1}, "cache+*": {1, 1}, "*:9090": {1, 0}, "*:90": {0, 0}, "a|b": {0, 0}, stars: {2, 1}, stars + "*": {0, 0}} {
		t.Run(filter, func(t *testing.T) {
			t.Parallel()
			html := get(h, "/?filter="+url.QueryEscape(filter)).Body.String()
			peers, changes, _ := strings.Cut(html, "Last changes")
			if got := [2]int{strings.Count(peers, `class="name"`), strings.Count(changes, `class="name"`)}; got != want {
				t.Errorf("%s\n%d peers and changes, want %d", html, got, want)
			}
			for _, word := range []string{`<dd id="total">2<`, `value="` + strings.ReplaceAll(filter, "+", "&#43;") + `"`} {
				if !strings.Contains(html, word) {
					t.Errorf("%s\nwant %s", html, word)
				}
			}
			if nobody := strings.Contains(peers, "Nobody who matches."); nobody != (want[0] == 0) {
				t.Errorf("%s\nsays that nobody matches: %t", html, nobody)
			}
		})
	}
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
	want(t, get(h, "/?filter=2-1"), http.StatusOK, `<dd id="total">1003`)
	want(t, get(h, "/?filter=2-"), http.StatusOK, `<p>3 more match.`)
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
	if !strings.HasPrefix(policy, "default-src 'none'; ") || !strings.Contains(policy, "; script-src 'sha256-") || strings.Contains(policy, "unsafe") {
		t.Errorf("Content-Security-Policy %q, want nothing but the page's own", policy)
	}
	want(t, get(h, "/?filter="+url.QueryEscape(`"><script>`)), http.StatusOK, `value="&#34;&gt;&lt;script&gt;"`)
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
			page, console := browser.Load(t, strings.Replace(server.URL, "://", "://"+user, 1), "--virtual-time-budget=3000")
			for _, word := range []string{
				"<title>3 peers ", ">http://before<", ">http://late<", ">http://x/&lt;/title&gt;", `<small id="state" class="">live<`,
			} {
				if !strings.Contains(page, word) {
					t.Errorf("%s\nwant %s in it", page, word)
				}
			}
			if len(console) > 0 {
				t.Errorf("console:\n%s\nwant nothing", strings.Join(console, ""))
			}
			if strings.Contains(page, ">owned") {
				t.Errorf("%s\na name has changed the title", page)
			}
		})
	}
}

// What a reader does with the page stays when the page changes.
func TestPageWithReader(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		script string // does something, and puts what it sees into data-seen
		want   string
		flags  []string // of the browser
	}{
		"selects a name": {`getSelection().selectAllChildren([...document.querySelectorAll(".name")].find(cell => cell.textContent === "http://before"));
			look = () => getSelection().toString() + " of " + document.querySelectorAll("#peers .name").length +
				", silent: " + document.querySelectorAll("#peers .name .bad").length`, "http://before of 3, silent: 2", nil},
		"filters": {`setTimeout(() => { box.value = "late"; box.dispatchEvent(new Event("input")); }, 1000);
			look = () => [location.search, box.value, ...Array.from(document.querySelectorAll(".name"), cell => cell.textContent)].join(" ")`,
			"?filter=late late http://late http://late", nil},
		"has a small screen": {`const frame = document.createElement("iframe"); frame.src = "?framed"; frame.width = 360; document.body.append(frame);
			look = () => {
				const page = frame.contentDocument;
				const wider = page.documentElement?.scrollWidth - page.documentElement?.clientWidth;
				return [page.querySelectorAll("#peers .name").length, wider, page.querySelector(".name")?.offsetWidth > 250];
			}`, "3,0,true", nil},
		"has a wide screen": {`const frame = document.createElement("iframe"); frame.src = "?framed"; frame.width = 1400; document.body.append(frame);
			look = () => {
				const [peers, changes] = ["peers", "changes"].map(id => frame.contentDocument.getElementById(id)?.getBoundingClientRect());
				return peers?.right <= changes?.left && changes.top < peers.bottom ? "beside each other" : "not so";
			}`, "beside each other", nil},
		"likes it dark": {`look = () => [document.body, document.querySelector(".good")].map(e => e && getComputedStyle(e).color).join(" ")`,
			"rgb(255, 255, 255) rgb(102, 204, 102)", []string{"--force-dark-mode"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer("http://also", "http://and", "http://before")
			h := handler(t, s)
			var join sync.Once
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				query := r.URL.Query()
				if query.Has("wait") {
					join.Do(func() {
						long := "http://" + strings.Repeat("a", 500)
						s.set(long, "http://before", "http://late")
						s.setSilent(long, "http://before")
					})
					query.Set("wait", "1ms")
					r.URL.RawQuery = query.Encode()
					h.ServeHTTP(w, r)
					return
				}
				// Without the policy, which allows no other script.
				page := get(h, "/").Body.String()
				if !query.Has("framed") {
					page += "<script>let look; " + test.script + "\nsetInterval(() => document.documentElement.dataset.seen = look(), 50)</script>"
				}
				_, _ = io.WriteString(w, page)
			}))
			defer server.Close()
			page, console := browser.Load(t, server.URL, append(test.flags, "--virtual-time-budget=3000")...)
			if want := `data-seen="` + test.want + `"`; !strings.Contains(page, want) || len(console) > 0 {
				t.Errorf("%s\nwant %s in it, and nothing on the console: %s", page, want, console)
			}
		})
	}
}

// The picture in the documents is of this page.
func TestPicture(t *testing.T) {
	t.Parallel()
	var page string
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 11, 23, 21, 0, 0, 0, time.UTC)))
		s := newServer()
		h := handler(t, s)
		var names []string
		for i := range 8 {
			time.Sleep(time.Duration(3+i%3) * time.Minute)
			names = append(names, fmt.Sprintf("http://10.0.0.%d:8080", i+2))
			s.set(names...)
		}
		time.Sleep(4 * time.Minute)
		s.set(names[:5]...)
		time.Sleep(time.Second)
		s.set(names...)
		time.Sleep(11 * time.Minute)
		s.set(slices.Delete(names, 3, 4)...)
		time.Sleep(42 * time.Second)
		s.change(func(stats *gopherdiscovery.Stats) { stats.Clients, stats.Subscribers = 7, 9 })
		s.setSilent(names[4])
		page = get(h, "/").Body.String()
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("wait") {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(w, page)
	}))
	defer server.Close()
	browser.Picture(t, server.URL, "../../docs/server.png", 1200, 640)
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
	page, _ := browser.Load(t, server.URL)
	if want := ">the server does not answer<"; !strings.Contains(page, want) {
		t.Errorf("%s\nwant %s in it", page, want)
	}
}
