package announce

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/dahernan/gopherdiscovery/cmd/gopherdiscovery/internal/run"
)

// Check is a health check, which must succeed within the Interval.
type Check struct {
	// Target is what is checked: http://host:port/path or https://, of which a
	// GET must be answered with a status from 200 to 399, tcp://host:port,
	// which must accept a connection, or exec:command, a line for the shell
	// that must end with exit code 0.
	Target string

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

// Validate returns what is wrong with the target, which may have a password.
func (c *Check) Validate() error {
	if line, isExec := strings.CutPrefix(c.Target, "exec:"); isExec {
		if strings.TrimSpace(line) == "" {
			return errors.New("exec: is without a command")
		}
		_, err := exec.LookPath(run.Shell("")[0])
		return err
	}
	u, err := url.Parse(c.Target)
	switch {
	case err != nil || u.Hostname() == "" || !isPort(u.Port()):
	case u.Scheme == "http" || u.Scheme == "https":
		return nil
	case u.Scheme == "tcp" && u.Port() != "" && c.Target == "tcp://"+u.Host:
		return nil
	}
	return errors.New("want http://host:port/path, tcp://host:port or exec:command")
}

// isPort reports whether a connection can be made to a port. Without one it is
// that of the scheme.
func isPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
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
	healthy := false
	// How many equal results there were in a row, and how many are needed.
	streak, enough := map[bool]int{}, map[bool]int{true: c.Rise, false: c.Fall}
	// A command that starts is not broken.
	level, msg := slog.LevelInfo, "the check does not succeed yet"
	for {
		err := c.once(ctx)
		if ctx.Err() != nil {
			return
		}
		ok := err == nil
		streak[ok], streak[!ok] = streak[ok]+1, 0
		if !ok && streak[ok] == 1 {
			logger.Log(ctx, level, msg, "error", err)
		}
		if ok != healthy && streak[ok] == enough[ok] {
			healthy = ok
			level, msg = slog.LevelWarn, "the check fails"
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

// once returns why a check has failed.
func (c *Check) once(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Interval, fmt.Errorf("it took longer than %v", c.Interval))
	defer cancel()
	if line, isExec := strings.CutPrefix(c.Target, "exec:"); isExec {
		return execute(ctx, line)
	}
	if address, isTCP := strings.CutPrefix(c.Target, "tcp://"); isTCP {
		return connect(ctx, address)
	}
	return c.get(ctx)
}

// connect makes a connection.
func connect(ctx context.Context, address string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if isToItself(conn) {
		return fmt.Errorf("dial tcp %s: nobody listens", address)
	}
	return nil
}

// isToItself reports whether a connection has no other side. Linux makes such
// where nobody listens, if it happens to choose that very port for the dialer.
func isToItself(conn net.Conn) bool {
	return conn.LocalAddr().String() == conn.RemoteAddr().String()
}

// execute runs a line of the shell. When ctx ends it kills the process group of
// that. Its output goes nowhere.
func execute(ctx context.Context, line string) error {
	args := run.Shell(line)
	p, err := run.Start(exec.Command(args[0], args[1:]...))
	if err != nil {
		return err
	}
	select {
	case <-p.Done():
		err = p.Wait()
	case <-ctx.Done():
		p.Stop(0)
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("exec: %w", err) // the line may have a password
	}
	return nil
}

func (c *Check) get(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Target, nil)
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
	shown := *r.URL
	shown.RawQuery = "" // there may be a secret in it
	response, err := client.Do(r)
	if err != nil {
		if of := (*url.Error)(nil); errors.As(err, &of) {
			err = of.Err // which has no URL
		}
		return fmt.Errorf("GET %s: %w", shown.Redacted(), err)
	}
	defer response.Body.Close()
	// A program may report an error if its answer is cut off.
	_, _ = io.CopyN(io.Discard, response.Body, 1<<16)
	if response.StatusCode < 200 || response.StatusCode > 399 {
		return fmt.Errorf("GET %s: %s", shown.Redacted(), response.Status)
	}
	return nil
}
