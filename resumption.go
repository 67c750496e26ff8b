package gopherdiscovery

import (
	"sync"
	"time"
)

// resumption is what the connections of a subscriber to one URL leave to the
// next one: the list that it holds, and the form to ask for.
type resumption struct {
	mu   sync.Mutex // guards the fields below
	held *uint64    // the sum of the list; nil if there is none
	forms
}

// hold notes the list that the subscriber holds.
func (r *resumption) hold(sum uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = &sum
}

func (r *resumption) have() *uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held
}

// distrust notes that the server has broken the protocol of changes.
func (r *resumption) distrust() {
	r.change(func(f *forms) { f.distrust(time.Now()) })
}

// distrusted reports whether the server has broken it since a time.
func (r *resumption) distrusted(since time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.plainUntil.Add(-r.mistrust).Before(since)
}

// change changes what is known of the forms.
func (r *resumption) change(do func(*forms)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	do(&r.forms)
}

// forms decides whether a subscriber asks a server for changes, or for whole
// lists, the plain form. It has no clock.
type forms struct {
	refused   time.Time // when changes were, before the plain form was served; zero if they never were
	alternate bool      // neither form was served: one is tried after the other
	plainTurn bool      // of them, the plain one is next

	// unanswered says that the connection that asked for changes was closed before any hello, or so late that it was
	// hardly for the form.
	unanswered  bool
	servedPlain bool // the form of the last connection

	plainUntil time.Time     // plain until then, since the server has sent something that breaks the protocol
	mistrust   time.Duration // how long it lasts
}

// plain reports whether the next attempt is in the plain form.
func (f *forms) plain(now time.Time) bool {
	switch {
	case now.Before(f.plainUntil):
		return true
	case f.alternate:
		return f.plainTurn
	}
	return !f.refused.IsZero() && now.Sub(f.refused) <= refusalTime
}

// refuse notes that changes were refused, perhaps without an answer, and reports
// whether to try the plain form at once.
func (f *forms) refuse(answered bool) (atOnce bool) {
	f.plainTurn, f.unanswered = true, !answered
	return !f.alternate
}

// refusePlain notes that the plain form was refused too.
func (f *forms) refusePlain() {
	f.alternate, f.plainTurn = true, false
	f.refused = time.Time{}
}

// endEarly notes that a connection has ended as soon as it was made.
func (f *forms) endEarly() {
	if f.servedPlain {
		f.refusePlain()
	}
}

// serve notes that a form is served.
func (f *forms) serve(plain bool, now time.Time) {
	if plain && f.plainTurn {
		f.refused = now
	}
	f.alternate, f.plainTurn, f.unanswered, f.servedPlain = false, false, false, plain
}

// distrust notes that the server has broken the protocol.
func (f *forms) distrust(now time.Time) {
	if f.mistrust == 0 || now.Sub(f.plainUntil) > maxMistrust {
		f.mistrust = mistrustTime
	} else {
		f.mistrust = min(2*f.mistrust, maxMistrust)
	}
	f.plainUntil = now.Add(f.mistrust)
}
