package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/names"
)

// mostWait is the longest that a request waits. Asking for more is no error.
// Proxies give up after a minute and less: nginx after 60 seconds, HAProxy as
// Debian configures it after 50.
const mostWait = 30 * time.Second

// document is JSON and its ETag, which is the same for the same list in other
// servers and after a restart.
type document struct {
	etag string
	body []byte
}

func newDocument(value any) document {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // it is read by people too, and never as HTML
	if err := encoder.Encode(value); err != nil {
		panic(err) // strings and lists of them have no errors
	}
	sum := sha256.Sum256(body.Bytes())
	return document{fmt.Sprintf(`"%x"`, sum[:12]), body.Bytes()}
}

// refusal is an answer that says why there is no other.
type refusal struct {
	code int
	text string
}

var (
	errIncomplete = &refusal{http.StatusServiceUnavailable, "the list is not complete yet"}
	errEnded      = &refusal{http.StatusServiceUnavailable, "the server has ended"}
)

func (r *refusal) serve(w http.ResponseWriter) {
	if r.code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, r.text, r.code)
}

// serveDocument answers with the document that whole makes of a snapshot. With
// ?match= part makes it of the names that match. While the list is not complete
// the answer is 503.
func serveDocument(b *board, w http.ResponseWriter, r *http.Request, whole func(*snapshot) document, part func(list []string) document) {
	match, err := names.FromQuery(r.URL.RawQuery)
	if err != nil {
		(&refusal{http.StatusBadRequest, "invalid query: " + err.Error()}).serve(w)
		return
	}
	var found document
	refused := await(b, r, func(s *snapshot) (etag string, refused *refusal) {
		if !s.stats.Complete {
			return "", errIncomplete
		}
		if match == "" {
			found = whole(s)
		} else {
			found = part(match.Filter(s.list))
		}
		return found.etag, nil
	})
	if refused != nil {
		refused.serve(w)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-cache") // may be kept, but not used unasked
	header.Set("ETag", found.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(found.body))
}

// await returns nil when the ETag that choose returns for the snapshot of now
// is not one that the client has, or when the client has waited as long as it
// wants. Choose is called again with each new snapshot. A refusal is that of
// choose, or says that the request is wrong or that the server has ended.
func await(b *board, r *http.Request, choose func(*snapshot) (etag string, refused *refusal)) *refusal {
	wait, refused := waitTime(r)
	if refused != nil {
		return refused
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		now, news := b.look()
		etag, refused := choose(now)
		if refused != nil || wait == 0 || !has(r, etag) {
			return refused
		}
		select {
		case <-news:
		case <-timer.C:
			return nil
		case <-r.Context().Done():
			return errEnded // goes nowhere: the client has gone
		case <-b.ended:
			return errEnded
		}
	}
}

// waitTime returns what ?wait= says, 0 without it.
func waitTime(r *http.Request) (time.Duration, *refusal) {
	text := r.URL.Query().Get("wait") // FormValue would read the body too
	if text == "" {
		return 0, nil
	}
	wait, err := time.ParseDuration(text)
	if err != nil || wait < 0 {
		return 0, &refusal{http.StatusBadRequest, fmt.Sprintf("wait=%q is no duration such as 30s", text)}
	}
	wait = min(wait, mostWait)
	if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok && server.WriteTimeout > 0 {
		wait = min(wait, server.WriteTimeout/2) // what comes too late is not sent
	}
	return wait, nil
}

// has reports whether the client says that it has what the ETag stands for, in
// the weak comparison of RFC 9110, section 13.1.2.
func has(r *http.Request, etag string) bool {
	for _, header := range r.Header.Values("If-None-Match") {
		for have := range strings.SplitSeq(header, ",") {
			have = strings.TrimSpace(have)
			if have == "*" || strings.TrimPrefix(have, "W/") == etag {
				return true
			}
		}
	}
	return false
}
