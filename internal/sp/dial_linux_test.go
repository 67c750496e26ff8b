package sp

import (
	"errors"
	"fmt"
	"net"

	"syscall"
	"testing"
	"time"
)

// An attempt to connect to a machine that does not answer ends before its
// system would send a third SYN.
func TestConnectTime(t *testing.T) {
	t.Parallel()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
	e := newEndpoint(Respondent, quietSettings)
	c := &connector{redialer: newTestRedialer(e, Address{"tcp", url})}
	// Those in the queue are accepted by the system, and told nothing.
	for range 3 {
		go func() { _, _ = c.dialTarget(e.ctx, url, terms{timeout: time.Minute}) }()
	}
	defer func() {
		e.shut()
		e.end()
	}()
	for {
		begun := time.Now()
		_, err := c.dialTarget(e.ctx, url, terms{timeout: 10 * ms})
		if errors.Is(err, errSlowHandshake) {
			continue // there was room in the queue
		}
		took := time.Since(begun)
		var network net.Error
		if !errors.As(err, &network) || !network.Timeout() || took < connectTime || took > 2*connectTime {
			t.Errorf("got %v after %v, want a timeout after %v", err, took, connectTime)
		}
		return
	}
}
