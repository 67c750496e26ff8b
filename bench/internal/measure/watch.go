// Package measure measures the time until all peers have seen a change.
package measure

import (
	"fmt"
	"sync/atomic"
	"time"
)

// Watch records what each of many peers has seen.
type Watch struct {
	peers  []peer
	round  atomic.Pointer[Round]
	failed chan error
}

// peer is one of the peers of a Watch.
type peer struct {
	value atomic.Uint64         // seen last
	round atomic.Pointer[Round] // the last one whose value it has seen
}

// Round waits until all peers have seen one value.
type Round struct {
	watch   *Watch
	value   uint64
	start   time.Time
	missing atomic.Int64
	done    chan time.Time
}

// NewWatch returns a Watch of n peers, all of which have seen 0.
func NewWatch(n int) *Watch {
	return &Watch{peers: make([]peer, n), failed: make(chan error, 1)}
}

// See records that peer i now sees value. It may be called concurrently, but
// not for the same peer.
func (w *Watch) See(i int, value uint64) {
	p := &w.peers[i]
	p.value.Store(value)
	if r := w.round.Load(); r != nil && r.value == value {
		r.credit(p)
	}
}

// Fail ends the current round, or else the next one, with an error.
func (w *Watch) Fail(err error) {
	select {
	case w.failed <- err:
	default: // there is an error already
	}
}

// Expect begins a round. Its clock starts when Expect returns.
func (w *Watch) Expect(value uint64) *Round {
	r := &Round{watch: w, value: value, done: make(chan time.Time, 1)}
	r.missing.Store(int64(len(w.peers)))
	w.round.Store(r)
	for i := range w.peers {
		if p := &w.peers[i]; p.value.Load() == value {
			r.credit(p)
		}
	}
	r.start = time.Now()
	return r
}

// credit counts a peer that has seen the value. It counts each peer once.
func (r *Round) credit(p *peer) {
	old := p.round.Load()
	if old != r && p.round.CompareAndSwap(old, r) && r.missing.Add(-1) == 0 {
		r.done <- time.Now()
	}
}

// Wait waits until the last peer has seen the value, and returns how long that
// took. It gives up after the timeout.
func (r *Round) Wait(timeout time.Duration) (time.Duration, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case end := <-r.done:
		return end.Sub(r.start), nil
	case err := <-r.watch.failed:
		return 0, err
	case <-timer.C:
		return 0, fmt.Errorf("%d of %d peers have not seen the change after %v",
			r.missing.Load(), len(r.watch.peers), timeout)
	}
}
