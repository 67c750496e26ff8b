package web

import (
	"bytes"
	"crypto/rand"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"time"
)

// mostRows is how many names the page shows. /peers has all of them.
const mostRows = 1000

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"stamp": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"clock": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
}).Parse(pageHTML))

// page serves what is on the board to people.
type page struct {
	board *board
	run   string // differs between two runs of the server, whose versions both count from 1
}

// view is what the page shows.
type view struct {
	Nonce, ETag    string
	Survey, PubSub string
	Started, Now   time.Time
	Complete       bool
	Clients        int
	Subscribers    int
	Total          int
	Peers          []presence
	Changes        []change // the newest first
}

// More returns how many names are not shown.
func (v view) More() int { return v.Total - len(v.Peers) }

// Age returns how long ago something was when the page was made.
func (v view) Age(t time.Time) string { return v.Now.Sub(t).Truncate(time.Second).String() }

// presence is a name that is in the list.
type presence struct {
	Name  string
	Since time.Time
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
	v := p.board.view()
	v.Nonce, v.ETag = rand.Text(), etag
	var html bytes.Buffer
	if err := pageTemplate.Execute(&html, v); err != nil {
		panic(err) // the template fits what it shows
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store") // the nonces in the page and its header belong together
	header.Set("ETag", etag)
	// The names come from the network. They are escaped, and nothing but
	// the page's own script and style would run.
	header.Set("Content-Security-Policy", fmt.Sprintf("default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; "+
		"form-action 'none'; frame-ancestors 'none'; script-src 'nonce-%[1]s'; style-src 'nonce-%[1]s'", v.Nonce))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(html.Bytes()))
}

// view returns what is to be shown now.
func (b *board) view() view {
	b.look()
	b.mu.Lock()
	defer b.mu.Unlock()
	v := view{
		Started:     b.started,
		Now:         time.Now(),
		Complete:    b.now.stats.Complete,
		Clients:     b.now.stats.Clients,
		Subscribers: b.now.stats.Subscribers,
		Total:       len(b.now.list),
		Changes:     slices.Clone(b.changes),
	}
	v.Survey, v.PubSub = b.server.URLs()
	slices.Reverse(v.Changes)
	for _, name := range b.now.list[:min(len(b.now.list), mostRows)] {
		v.Peers = append(v.Peers, presence{name, b.since[name]})
	}
	return v
}
