package main

import (
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"time"
)

//go:embed status.html
var statusHTML string

var statusPage = template.Must(template.New("status").Parse(statusHTML))

// statusHandler serves the status page, and its contents as /status.json.
func (lb *balancer) statusHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", lb.serveStatus)
	mux.HandleFunc("GET /status.json", lb.serveStatusJSON)
	return mux
}

// status is the content of the status page and of /status.json.
type status struct {
	Requests int64           `json:"requests"`
	Failed   int64           `json:"failed"`
	Retried  int64           `json:"retried"`
	Backends []backendStatus `json:"backends"`
}

type backendStatus struct {
	Name     string    `json:"name"`
	Since    time.Time `json:"since"`
	Age      string    `json:"age"` // for people
	Requests int64     `json:"requests"`
	InFlight int64     `json:"in_flight"`
	Errors   int64     `json:"errors"`
}

func (lb *balancer) status() status {
	lb.mu.Lock()
	defer lb.mu.Unlock()
	s := status{
		Requests: lb.requests.Load(),
		Failed:   lb.failed.Load(),
		Retried:  lb.retried.Load(),
		// In JSON this is an empty list rather than null.
		Backends: make([]backendStatus, 0, len(lb.backends)),
	}
	for _, b := range lb.backends {
		s.Backends = append(s.Backends, backendStatus{
			Name:     b.name,
			Since:    b.since,
			Age:      time.Since(b.since).Truncate(time.Second).String(),
			Requests: b.requests.Load(),
			InFlight: b.inFlight.Load(),
			Errors:   b.errors.Load(),
		})
	}
	return s
}

// serveStatus serves a page that updates itself from /status.json.
func (lb *balancer) serveStatus(w http.ResponseWriter, _ *http.Request) {
	page := struct {
		status
		Nonce string
	}{lb.status(), rand.Text()}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	// The names come from the network. They are escaped, and no script or style
	// other than the page's own would run.
	header.Set("Content-Security-Policy",
		"default-src 'none'; connect-src 'self'; img-src data:; script-src 'nonce-"+page.Nonce+"'; style-src 'nonce-"+page.Nonce+"'")
	if err := statusPage.Execute(w, page); err != nil {
		lb.logger.Warn("status page", "error", err)
	}
}

func (lb *balancer) serveStatusJSON(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(lb.status())
}
