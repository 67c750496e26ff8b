package web

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dahernan/gopherdiscovery/integrations/internal/build"
	"github.com/dahernan/gopherdiscovery/internal/names"
)

// mostRows is how many names the page shows. /peers has all of them.
const mostRows = 1000

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string
)

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"stamp":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"clock":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	"style":  func() template.CSS { return template.CSS(pageCSS) },
	"script": func() template.JS { return template.JS(pageJS) },
}).Parse(pageHTML))

// pagePolicy allows the page's own script and style, and nothing else. The
// names on it come from the network.
var pagePolicy = fmt.Sprintf("default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; "+
	"frame-ancestors 'none'; script-src %s; style-src %s", cspHash(pageJS), cspHash(pageCSS))

func cspHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// page serves what is on the board to people.
type page struct {
	board *board
	run   string // differs between two runs of the server, whose versions both count from 1
}

// view is what the page shows. Its fields are those that the template names.
type view struct {
	ETag, Filter    string
	Survey, PubSub  string
	Version         string
	Started, Now    time.Time
	Complete        bool
	Failing         bool
	Clients         int
	Subscribers     int
	Total, Matching int
	Silent          int
	Doubted         bool // whether the silent are to blame
	Peers           []presence
	Changes         []change // the newest first
	Past            past
}

// More returns how many names are not shown.
func (v view) More() int { return v.Matching - len(v.Peers) }

// Age returns how long ago something was when the page was made.
func (v view) Age(t time.Time) string { return v.Now.Sub(t).Truncate(time.Second).String() }

// presence is a name that is in the list.
type presence struct {
	Name   string
	Since  time.Time
	Silent bool
}

func newPage(b *board) *page { return &page{board: b, run: rand.Text()} }

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var etag string
	refused := await(p.board, r, func(s *snapshot) (string, *refusal) {
		etag = fmt.Sprintf(`"%s-%d"`, p.run, s.version)
		return etag, nil
	})
	if refused != nil {
		refused.serve(w)
		return
	}
	v := p.board.view(r.URL.Query().Get("filter"))
	v.ETag = etag
	var html bytes.Buffer
	if err := pageTemplate.Execute(&html, v); err != nil {
		panic(err) // the template fits what it shows
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store") // how long ago things were is in it
	header.Set("ETag", etag)
	header.Set("Content-Security-Policy", pagePolicy)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(html.Bytes()))
}

// view returns what is to be shown now, of those whom the filter chooses.
func (b *board) view(filter string) view {
	b.look()
	b.mu.Lock()
	now, changes, past := b.now, b.changes, b.history.past()
	b.mu.Unlock()
	v := view{
		Filter:      filter,
		Version:     build.Version(),
		Started:     b.started,
		Now:         time.Now(),
		Complete:    now.stats.Complete,
		Failing:     now.failing,
		Clients:     now.stats.Clients,
		Subscribers: now.stats.Subscribers,
		Total:       len(now.list),
		Silent:      len(now.silent),
		Doubted:     now.doubted,
		Past:        past,
	}
	v.Survey, v.PubSub = b.server.URLs()
	pattern := names.Pattern(filter)
	if pattern.Check() != nil {
		return v // no name can match
	}
	if !strings.Contains(filter, "*") {
		pattern = "*" + pattern + "*" // what has no star may be anywhere in a name
	}
	for i, name := range now.list {
		if !pattern.Match(name) {
			continue
		}
		if v.Matching++; v.Matching <= mostRows {
			_, silent := slices.BinarySearch(now.silent, name)
			v.Peers = append(v.Peers, presence{name, now.since[i], silent})
		}
	}
	for _, change := range slices.Backward(changes) {
		if pattern.Match(change.Name) {
			v.Changes = append(v.Changes, change)
		}
	}
	return v
}
