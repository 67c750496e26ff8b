package announce

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"runtime"
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
				c := &Check{Target: "http://127.0.0.1/health", Interval: s, Rise: test.rise, Fall: test.fall}
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

func TestCheckOfTCP(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	open := &Check{Target: "tcp://" + listener.Addr().String(), Interval: time.Minute}
	if err := open.once(t.Context()); err != nil {
		t.Errorf("error %v, want none", err)
	}
	closed := &Check{Target: "tcp://127.0.0.1:1", Interval: time.Minute}
	if err := closed.once(t.Context()); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("error %v, want one with the address", err)
	}
}

func TestConnectionToItself(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("this system makes none")
	}
	// Only this dialer can have the port, so nobody listens there.
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 77), Port: 20777}}
	conn, err := dialer.DialContext(t.Context(), "tcp", dialer.LocalAddr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetLinger(0); err != nil { // the port is free again at once
		t.Fatal(err)
	}
	if !isToItself(conn) {
		t.Error("it was taken for one to others")
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for target, ok := range map[string]bool{
		"http://127.0.0.1:8080/health": true,
		"https://user:secret@a.b/":     true,
		"tcp://127.0.0.1:5432":         true,
		"tcp://[::1]:5432":             true,
		"exec:true":                    true,
		"http:///health":               false,
		"tcp://127.0.0.1":              false,
		"tcp://127.0.0.1:5432/path":    false,
		"tcp://:5432":                  false,
		"tcp://127.0.0.1:0":            false,
		"tcp://127.0.0.1:65536":        false,
		"http://127.0.0.1:65536/":      false,
		"http://127.0.0.1:/":           true,
		"127.0.0.1:5432":               false,
		"exec: ":                       false,
		"true":                         false,
		"ftp://user:secret@a.b/":       false,
	} {
		err := (&Check{Target: target}).Validate()
		if (err == nil) != ok || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: error %v, want that it is good: %t", target, err, ok)
		}
	}
}

// A command may have a password, which is not for the log.
func TestCommandIsNotLogged(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell of Unix")
	}
	c := &Check{Target: "exec:exit 3 # secret", Interval: time.Minute}
	if err := c.once(t.Context()); err == nil || err.Error() != "exec: exit status 3" {
		t.Errorf("error %v, want the exit status alone", err)
	}
	c = &Check{Target: "exec:sleep 60 # secret", Interval: time.Millisecond}
	if err := c.once(t.Context()); err == nil || err.Error() != "exec: it took longer than 1ms" {
		t.Errorf("error %v, want that it took too long alone", err)
	}
}

// The log has a line when a row of failures begins, not one for each, and no
// password. Only from the first success on it is a warning.
func TestCheckLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		c := &Check{Target: "http://user:secret@127.0.0.1/health?token=secret", Interval: time.Second, Rise: 1, Fall: 1}
		c.transport = &answers{503, 503, 200, 404, 404, 0, 200, 0, 200}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		c.run(ctx, make(chan bool, 10), slog.New(slog.NewTextHandler(&log, nil)))
		lines := strings.Split(log.String(), "\n")
		want := []string{"level=INFO .* yet.*503", "level=WARN .*fails.*404", "level=WARN .*fails.*deadline", "^$"}
		matches := func(line, want string) bool { return regexp.MustCompile(want).MatchString(line) }
		if !slices.EqualFunc(lines, want, matches) || strings.Contains(log.String(), "secret") {
			t.Errorf("the log is %q, want lines that match %q, and no password", lines, want)
		}
	})
}
