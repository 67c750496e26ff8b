package sp

import (
	"sync"
	"time"
)

// resumption is what a subscriber's connections to one URL pass on to the next
// one: the list that the subscriber holds, and the form to ask for.
type resumption struct {
	mu  sync.Mutex // guards the fields below
	sum *uint64    // the sum of the list; nil if there is none

	// Until plainUntil the plain form is asked for, which is whole lists,
	// because the server has refused changes or broken their protocol.
	plainUntil time.Time
}

// setSum records the sum of the list that the subscriber holds.
func (r *resumption) setSum(sum uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sum = &sum
}

// forget records that the subscriber holds no list.
func (r *resumption) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sum = nil
}

// have returns the sum of the list that the subscriber holds, or nil.
func (r *resumption) have() *uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sum
}

// isPlain reports whether the next attempt asks for the plain form.
func (r *resumption) isPlain(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return now.Before(r.plainUntil)
}

// refuse records that the server has refused changes.
func (r *resumption) refuse(now time.Time) { r.setPlain(now.Add(refusalTime)) }

// distrust records that the server has broken the protocol of changes.
func (r *resumption) distrust(now time.Time) { r.setPlain(now.Add(mistrustTime)) }

// failPlain records that an attempt in the plain form has failed. Another
// server may answer the next one.
func (r *resumption) failPlain() { r.setPlain(time.Time{}) }

func (r *resumption) setPlain(until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.plainUntil = until
}
