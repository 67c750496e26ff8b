package gopherdiscovery

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// redialer says when to try to connect to an address, again and again until there is a connection, and anew when that is
// lost. It is for one goroutine at a time.
type redialer struct {
	endpoint *endpoint
	address  address
	failures int       // attempts and short-lived connections in a row
	since    time.Time // when the last connection was made; zero before the first
	trying   bool
	reported *atomic.Bool // bad input of the server has been logged
	outage   *outage

	resumption *resumption // nil unless the server publishes
}

func newRedialer(e *endpoint, a address) *redialer {
	r := &redialer{endpoint: e, address: a, reported: new(atomic.Bool), outage: newOutage(e, a)}
	if e.changes {
		r.resumption = new(resumption)
	}
	return r
}

// wait returns true when an attempt is due, and false once the endpoint is closed. Called after a success it means that the
// connection is lost.
func (r *redialer) wait() bool {
	switch {
	case r.trying:
		r.pause()
	case !r.since.IsZero():
		r.outage.disconnected()
		switch {
		case time.Since(r.since) > redialMax:
			r.failures = 0
			r.reported = new(atomic.Bool)
		case r.resumption == nil:
			r.fail(errShortLived)
		case !r.resumption.distrusted(r.since): // or it was closed on this side, and that is logged
			r.fail(errShortLived)
			r.resumption.change((*forms).endEarly)
		}
		r.pause()
	}
	r.trying = true
	return r.endpoint.ctx.Err() == nil
}

// succeed takes the success of an attempt.
func (r *redialer) succeed() {
	r.trying = false
	r.since = time.Now()
	r.outage.connected()
}

// fail takes the failure of an attempt.
func (r *redialer) fail(err error) {
	if r.endpoint.ctx.Err() == nil {
		r.outage.failed(err)
	}
}

func (r *redialer) pause() {
	sleep(r.endpoint.ctx, redialDelay(r.failures, rand.Float64()))
	r.failures++
}

// redialDelay is the pause before the next attempt: it grows by half from redialMin to redialMax, and chance, from 0 to
// 1, takes away up to a quarter, so that those who lost the same server do not come back in step.
func redialDelay(failures int, chance float64) time.Duration {
	delay := float64(redialMin)
	for range failures {
		if delay *= 1.5; delay >= float64(redialMax) {
			delay = float64(redialMax)
			break
		}
	}
	return time.Duration(delay * (1 - chance/4))
}
