package sp

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// redialer decides when to try to connect to an address: repeatedly until there
// is a connection, and again when that is lost. It must not be used
// concurrently.
type redialer struct {
	endpoint *endpoint
	address  Address
	ctx      context.Context // ends with the line
	doubt    error           // why the line is dialed beside another one; may be nil
	failures int             // failed attempts and short-lived connections in a row
	since    time.Time       // when last connected; zero before the first time
	shorts   int             // short-lived connections in a row
	trying   bool
	outage   *Outage

	resumption *resumption // nil if the server does not publish
}

func newRedialer(l *Line) *redialer {
	r := &redialer{endpoint: l.endpoint, address: l.address, ctx: l.ctx, doubt: l.doubt, outage: l.outage}
	if l.changes {
		r.resumption = new(resumption)
	}
	return r
}

// wait waits until an attempt is due. It returns false once the line has ended.
// A call after a success means that the connection has been lost.
func (r *redialer) wait() bool {
	switch {
	case r.trying:
		r.pause()
	case !r.since.IsZero():
		r.outage.Disconnected()
		switch {
		case time.Since(r.since) > RedialMax:
			r.failures, r.shorts = 0, 0
		// After bad input this side has closed the connection.
		case !r.outage.isToBlame(r.since):
			if r.shorts++; r.shorts >= maxShortLived {
				r.fail(errShortLived)
			}
		}
		r.pause()
	}
	r.trying = true
	return r.ctx.Err() == nil
}

// awaits reports whether attempts have failed, and none has succeeded yet.
func (r *redialer) awaits() bool { return r.since.IsZero() && r.failures > 0 }

// succeed records that an attempt has succeeded.
func (r *redialer) succeed() {
	r.trying = false
	r.since = time.Now()
	r.outage.Connected()
}

// fail records that an attempt has failed. If the line is dialed because of a
// doubt, that is the first cause.
func (r *redialer) fail(err error) {
	if r.doubt != nil && r.since.IsZero() {
		err = fmt.Errorf("%w: %w", r.doubt, err)
	}
	if r.ctx.Err() == nil {
		r.outage.Failed(err)
	}
}

func (r *redialer) pause() {
	sleep(r.ctx, RedialDelay(r.failures, rand.Float64()))
	r.failures++
}

// RedialDelay returns the pause before the next attempt. It grows by half from
// redialMin to RedialMax with each failure. A random number, chance, from 0 to
// 1 takes away up to a quarter, so that peers that have lost the same server do
// not return in step.
func RedialDelay(failures int, chance float64) time.Duration {
	delay := float64(redialMin)
	for range failures {
		if delay *= 1.5; delay >= float64(RedialMax) {
			delay = float64(RedialMax)
			break
		}
	}
	return time.Duration(delay * (1 - chance/4))
}

// sleep pauses for d, or until ctx is done.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
