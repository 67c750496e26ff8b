package announce

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// Check is a health check over HTTP. A GET of URL must be answered with a
// status from 200 to 399, within the Interval.
type Check struct {
	URL      string
	Interval time.Duration
	Rise     int // successes in a row that make the command healthy
	Fall     int // failures in a row after which it is not

	transport http.RoundTripper // nil for the usual one; for tests
}

// usual verifies no certificate, as the probes of Kubernetes do not: a check is
// for a program of our own, often at another address than that in its
// certificate.
var usual = &http.Transport{
	DisableKeepAlives: true,
	TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
}

// health is a check that goes on.
type health struct {
	changes chan bool // whether the command is healthy, when that changes
	cancel  context.CancelFunc
	done    chan struct{}
}

// start begins to check. Without a check the command is healthy at once. It
// begins as not healthy.
func (c *Check) start(logger *slog.Logger) *health {
	ctx, cancel := context.WithCancel(context.Background())
	h := &health{changes: make(chan bool, 1), cancel: cancel, done: make(chan struct{})}
	if c == nil {
		h.changes <- true
		close(h.done)
		return h
	}
	go func() {
		defer close(h.done)
		c.run(ctx, h.changes, logger)
	}()
	return h
}

// stop returns when there are no more changes.
func (h *health) stop() {
	h.cancel()
	<-h.done
}

func (c *Check) run(ctx context.Context, changes chan<- bool, logger *slog.Logger) {
	ticker := time.NewTicker(c.Interval)
	defer ticker.Stop()
	healthy, failing := false, false
	for streak := 0; ; {
		err := c.get(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !failing {
			logger.Warn("the check fails", "error", err)
		}
		failing = err != nil
		if failing == healthy {
			streak++
		} else {
			streak = 0
		}
		if healthy && streak == c.Fall || !healthy && streak == c.Rise {
			healthy, streak = !healthy, 0
			select {
			case changes <- healthy:
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (c *Check) get(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.Interval)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return err
	}
	client := &http.Client{
		Transport:     usual,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if c.transport != nil {
		client.Transport = c.transport
	}
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	// A program may report an error if its answer is cut off.
	_, _ = io.CopyN(io.Discard, response.Body, 1<<16)
	if response.StatusCode < 200 || response.StatusCode > 399 {
		return fmt.Errorf("GET %s: %s", r.URL.Redacted(), response.Status)
	}
	return nil
}
