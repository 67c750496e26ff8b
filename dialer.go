package gopherdiscovery

import (
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"go.nanomsg.org/mangos/v3"
)

const (
	redialMin = 100 * time.Millisecond
	redialMax = time.Second
)

var (
	errShortLived = errors.New("the server closes each connection at once")
	errSilent     = errors.New("the server has fallen silent")
)

// dialer keeps trying until it has a connection. mangos calls Dial again when that one is lost.
type dialer struct {
	fixed
	sock     *socket
	address  address
	connect  func() (mangos.TranPipe, error)
	failures int       // attempts and short-lived connections in a row
	since    time.Time // when the last connection was made; zero before the first
	reported *atomic.Bool
	history  history
	outage   *outage
}

// Dial is never called concurrently.
func (d *dialer) Dial() (mangos.TranPipe, error) {
	if !d.since.IsZero() {
		d.outage.disconnected()
		if time.Since(d.since) > redialMax {
			d.failures = 0
			d.reported = new(atomic.Bool)
		} else {
			d.failed(errShortLived)
		}
		d.pause()
	}
	for d.sock.ctx.Err() == nil {
		p, err := d.connect()
		if err == nil {
			d.since = time.Now()
			d.outage.connected()
			return d.sock.give(p)
		}
		d.failed(err)
		d.pause()
	}
	d.outage.disconnected()
	return nil, mangos.ErrClosed
}

func (d *dialer) failed(err error) {
	if d.sock.ctx.Err() == nil {
		d.outage.failed(err)
	}
}

func (d *dialer) pause() {
	sleep(d.sock.ctx, redialDelay(d.failures, rand.Float64()))
	d.failures++
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

// giveUp closes a connection whose server is overdue, as a part of the outage that follows.
func (s *socket) giveUp(p *pipe, err error) {
	if d := s.dialer(p.url()); d != nil {
		d.failed(err)
	}
	_ = p.Close()
}
