package announce

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// answers are the status of each check in turn: 0 hangs, and the last stays.
type answers []int

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	status := (*a)[0]
	if len(*a) > 1 {
		*a = (*a)[1:]
	}
	if status == 0 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	header := http.Header{"Location": {"/elsewhere"}}
	return &http.Response{StatusCode: status, Status: strconv.Itoa(status), Header: header, Body: http.NoBody, Request: r}, nil
}

func TestCheck(t *testing.T) {
	t.Parallel()
	const s = time.Second
	for name, test := range map[string]struct {
		answers    answers
		rise, fall int
		want       []time.Duration // of the changes: healthy, and not, and healthy, …
	}{
		"healthy at once":    {answers{200}, 1, 1, []time.Duration{0}},
		"a row of successes": {answers{500, 200, 200, 200}, 3, 1, []time.Duration{3 * s}},
		"a row of failures":  {answers{200, 500, 500, 500}, 1, 3, []time.Duration{0, 3 * s}},
		"back":               {answers{200, 500, 500, 200, 200}, 2, 2, []time.Duration{4 * s}},
		"there and back":     {answers{200, 200, 500, 500, 200, 200}, 2, 2, []time.Duration{s, 3 * s, 5 * s}},
		"rows that break":    {answers{200, 500, 200, 200, 500, 500, 200, 500, 500, 200}, 2, 3, []time.Duration{3 * s}},
		"never healthy":      {answers{404}, 1, 1, nil},
		"status below 200":   {answers{199}, 1, 1, nil},
		"status of 399":      {answers{399}, 1, 1, []time.Duration{0}},
		"status of 400":      {answers{400}, 1, 1, nil},
		"redirection":        {answers{302, 500}, 1, 2, []time.Duration{0, 2 * s}},
		"hangs and comes":    {answers{0, 200}, 1, 1, []time.Duration{s}},
		"hangs for two":      {answers{200, 0, 0, 200}, 1, 2, []time.Duration{0, 3 * s, 3 * s}},
		"hangs from then on": {answers{200, 0}, 1, 1, []time.Duration{0, 2 * s}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				c := &Check{URL: "http://127.0.0.1/health", Interval: s, Rise: test.rise, Fall: test.fall}
				c.transport = &test.answers
				h := c.start(slog.New(slog.DiscardHandler))
				defer h.stop()
				end := time.After(20*s + s/2)
				var got []time.Duration
				for ended := false; !ended; {
					select {
					case healthy := <-h.changes:
						if healthy != (len(got)%2 == 0) {
							t.Errorf("change %d is %t", len(got), healthy)
						}
						got = append(got, time.Since(begin))
					case <-end:
						ended = true
					}
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("changes at %v, want %v", got, test.want)
				}
			})
		})
	}
}

// The log has a line when a row of failures begins, not one for each, and no
// password.
func TestCheckLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		c := &Check{URL: "http://user:secret@127.0.0.1/health", Interval: time.Second, Rise: 1, Fall: 1}
		c.transport = &answers{503, 503, 200, 404, 404, 0, 200, 0, 200}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		c.run(ctx, make(chan bool, 10), slog.New(slog.NewTextHandler(&log, nil)))
		if got := log.String(); strings.Count(got, "\n") != 3 || strings.Contains(got, "secret") || !strings.Contains(got, "503") || !strings.Contains(got, "404") {
			t.Errorf("the log is %q, want one line with 503, one with 404, one without an answer, and no password", got)
		}
	})
}
