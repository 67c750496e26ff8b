package sp

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sptest"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

func TestUnacknowledgedIsLimited(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	setUserTimeout(c, 1500*time.Millisecond)
	if got := userTimeout(t, c); got != 1500 {
		t.Errorf("the kernel waits for %d ms, want 1500", got)
	}
	setUserTimeout(nothingNet{}, time.Second) // no TCP: nothing to limit
}

// userTimeout returns TCP_USER_TIMEOUT in milliseconds.
func userTimeout(t *testing.T, c net.Conn) int {
	t.Helper()
	return sockopt(t, c, syscall.IPPROTO_TCP, tcpUserTimeout)
}

func sockopt(t *testing.T, c net.Conn, level, option int) (got int) {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if controlErr := raw.Control(func(fd uintptr) {
		got, err = syscall.GetsockoptInt(int(fd), level, option)
	}); controlErr != nil || err != nil {
		t.Fatal(controlErr, err)
	}
	return got
}

// Both ends of a connection notice that nothing they send arrives: the server
// by its surveys, the client by its answers. Both probe it when it is idle.
func TestBothEndsAreLimited(t *testing.T) {
	server := NewSocket(Surveyor, Settings{Log: quietSettings.Log, Handshakes: new(Handshakes)}, new(listening).open)
	defer server.End()
	bound, err := server.Listen(Address{"tcp", "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	client := NewSocket(Respondent, quietSettings, new(listening).open)
	defer client.End()
	if _, err := client.DialAll([]Address{{"tcp", strings.TrimPrefix(bound, "tcp://")}}); err != nil {
		t.Fatal(err)
	}
	for name, side := range map[string]struct {
		endpoint *endpoint
		want     time.Duration
	}{
		"server": {server.endpoint, acceptedTimeout},
		"client": {client.endpoint, dialedTimeout},
	} {
		e := side.endpoint
		testmain.Await(t, name+": connected", func() bool { return e.pipeCount() > 0 })
		e.mu.Lock()
		for c := range e.conns {
			if got, want := userTimeout(t, c.(*link).conn), int(side.want.Milliseconds()); got != want {
				t.Errorf("the %s waits for %d ms, want %d", name, got, want)
			}
			for option, want := range map[[2]int]int{
				{syscall.SOL_SOCKET, syscall.SO_KEEPALIVE}:   1,
				{syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE}:  3,
				{syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL}: 1,
				{syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT}:   7,
				{syscall.IPPROTO_TCP, syscall.TCP_NODELAY}:   1,
			} {
				if got := sockopt(t, c.(*link).conn, option[0], option[1]); got != want {
					t.Errorf("option %v of the %s is %d, want %d", option, name, got, want)
				}
			}
		}
		e.mu.Unlock()
	}
}

// A subscription in the plain form has no beat. Only the system notices that
// its server has vanished.
func TestPlainSubscriptionIsLimited(t *testing.T) {
	l := listenLocal(t, 0)
	e := newEndpoint(Sub, quietSettings)
	defer func() {
		e.shut()
		e.end()
	}()
	c := &connector{redialer: newTestRedialer(e, l.address)}
	c.resumption = new(resumption)
	for changes, want := range map[bool]time.Duration{true: dialedTimeout, false: acceptedTimeout} {
		go l.accept()
		made, err := c.dialTarget(e.ctx, l.ln.Addr().String(), terms{timeout: time.Minute, changes: changes})
		if err != nil {
			t.Fatal(err)
		}
		if got := userTimeout(t, made.conn); got != int(want.Milliseconds()) {
			t.Errorf("in changes %t: the kernel waits for %d ms, want %v", changes, got, want)
		}
	}
}

// A server takes no part in Multipath TCP, with which neither keepalive nor the
// user timeout works.
func TestNoMultipathTCP(t *testing.T) {
	l := listenLocal(t, 0)
	var d net.Dialer
	d.SetMultipathTCP(true)
	c, err := d.Dial("tcp", l.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(sptest.Hello(sptest.Sub)); err != nil {
		t.Fatal(err)
	}
	accepted, err := l.accept()
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]net.Conn{"accepted": accepted.conn, "dialed": c} {
		if multipath, err := c.(*net.TCPConn).MultipathTCP(); err != nil || multipath {
			t.Errorf("Multipath TCP of the %s connection: got %t, %v, want none", what, multipath, err)
		}
	}
}

// A socket that is connected to itself is closed, and its port can be bound.
func TestConnectedToItself(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	d := net.Dialer{LocalAddr: free.Addr()}
	c, err := d.Dial("tcp", free.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := setUp(c, time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want an error like %v", err, syscall.ECONNREFUSED)
	}
	l, err := net.Listen("tcp", free.Addr().String())
	if err != nil {
		t.Fatalf("its port is not free: %v", err)
	}
	l.Close()
}

// nothingNet is a connection that is not TCP.
type nothingNet struct{ net.Conn }
