package gopherdiscovery

import (
	"sync"
	"time"
)

// resumption is what a subscriber's connections to one URL pass on to the next
// one: the list that the subscriber holds, and the form to ask for.
type resumption struct {
	mu   sync.Mutex // guards the fields below
	held *uint64    // the sum of the list; nil if there is none
	forms
}

// hold records the sum of the list that the subscriber holds.
func (r *resumption) hold(sum uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = &sum
}

// forget records that the subscriber holds no list.
func (r *resumption) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = nil
}

// have returns the sum of the list that the subscriber holds, or nil.
func (r *resumption) have() *uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held
}

// distrust records that the server has broken the protocol of changes.
func (r *resumption) distrust() {
	r.change(func(f *forms) { f.distrust(time.Now()) })
}

// distrusted reports whether the server has broken the protocol since a time.
func (r *resumption) distrusted(since time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.plainUntil.Add(-r.mistrust).Before(since)
}

// change calls do with the mutex held.
func (r *resumption) change(do func(*forms)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	do(&r.forms)
}

// forms decides whether a subscriber asks a server for changes or for the plain
// form, which is whole lists. It has no clock.
type forms struct {
	// refused is when the plain form was served after changes had been refused.
	// It is zero if that has not happened.
	refused time.Time

	alternate bool // neither form was served, so they are tried in turn
	plainTurn bool // the plain form is next

	// unanswered is true if the connection that asked for changes was closed
	// before any hello, or so late that the form is hardly the reason.
	unanswered  bool
	servedPlain bool // the last connection was in the plain form

	// After the server has broken the protocol of changes, only the plain form
	// is asked for, until plainUntil. That lasts for mistrust.
	plainUntil time.Time
	mistrust   time.Duration
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

// refuse records that changes were refused, perhaps without an answer. It
// reports whether to try the plain form at once.
func (f *forms) refuse(answered bool) (atOnce bool) {
	f.plainTurn, f.unanswered = true, !answered
	return !f.alternate
}

// refusePlain records that the plain form was refused too.
func (f *forms) refusePlain() {
	f.alternate, f.plainTurn = true, false
	f.refused = time.Time{}
}

// endEarly records that a connection has ended soon after it was made.
func (f *forms) endEarly() {
	if f.servedPlain {
		f.refusePlain()
	}
}

// serve records that a form is served.
func (f *forms) serve(plain bool, now time.Time) {
	if plain && f.plainTurn {
		f.refused = now
	}
	f.alternate, f.plainTurn, f.unanswered, f.servedPlain = false, false, false, plain
}

// distrust records that the server has broken the protocol of changes.
func (f *forms) distrust(now time.Time) {
	if f.mistrust == 0 || now.Sub(f.plainUntil) > maxMistrust {
		f.mistrust = mistrustTime
	} else {
		f.mistrust = min(2*f.mistrust, maxMistrust)
	}
	f.plainUntil = now.Add(f.mistrust)
}
