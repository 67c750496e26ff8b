package gopherdiscovery_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"go.nanomsg.org/mangos/v3"
)

// These are protocol numbers as they are on the wire.
const (
	protoPub        = 0x20
	protoSub        = 0x21
	protoSurveyor   = 0x62
	protoRespondent = 0x63
)

// rawConn speaks the wire format by hand, using none of the library's code.
type rawConn struct{ net.Conn }

// dialRaw connects to a tcp:// URL and shakes hands.
func dialRaw(t testing.TB, url string, self, peer uint16) rawConn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	r := rawConn{c}
	r.shake(t, self, peer)
	return r
}

func (r rawConn) shake(t testing.TB, self, peer uint16) {
	t.Helper()
	if got := r.greet(t, self); got != peer {
		t.Fatalf("handshake: got protocol %#04x, want %#04x", got, peer)
	}
}

// greet exchanges hellos and returns the other side's protocol number.
func (r rawConn) greet(t testing.TB, self uint16) uint16 {
	t.Helper()
	if _, err := r.Write([]byte{0, 'S', 'P', 0, byte(self >> 8), byte(self), 0, 0}); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 8)
	if _, err := io.ReadFull(r, got); err != nil {
		t.Fatalf("read the other side's handshake: %v", err)
	}
	peer := binary.BigEndian.Uint16(got[4:])
	if want := [8]byte{0, 'S', 'P', 0, got[4], got[5], 0, 0}; [8]byte(got) != want {
		t.Fatalf("handshake: got % x, want % x", got, want)
	}
	return peer
}

func (r rawConn) send(body []byte) error {
	_, err := r.Write(append(binary.BigEndian.AppendUint64(nil, uint64(len(body))), body...))
	return err
}

func (r rawConn) receive() ([]byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint64(head[:]))
	_, err := io.ReadFull(r, body)
	return body, err
}

// mustReceive fails the test if no message comes in time.
func (r rawConn) mustReceive(t testing.TB) []byte {
	t.Helper()
	r.SetReadDeadline(time.Now().Add(patience))
	body, err := r.receive()
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	return body
}

// answerAll answers surveys with a name until the connection ends.
func (r rawConn) answerAll(name string) {
	for {
		survey, err := r.receive()
		if err != nil || r.send(append(survey, name...)) != nil {
			return
		}
	}
}

// hello returns one side's part of the handshake.
func hello(protocol uint16) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0, 'S', 'P', 0}, protocol), 0, 0)
}

// mangosSocket returns a stock mangos socket, which is closed when the test
// ends.
func mangosSocket(t testing.TB, newSocket func() (mangos.Socket, error)) mangos.Socket {
	t.Helper()
	sock, err := newSocket()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sock.Close() })
	return sock
}

func listenStock(t *testing.T, sock mangos.Socket, url string) string {
	t.Helper()
	l, err := sock.NewListener(url, nil)
	if err == nil {
		err = l.Listen()
	}
	if err != nil {
		t.Fatal(err)
	}
	return l.Address()
}

// program starts a program and returns the lines that it prints. The program is
// killed when kill is called or the test ends.
func program(t *testing.T, name string, args ...string) (lines <-chan string, kill func()) {
	t.Helper()
	return programWith(t, os.Stderr, name, args...)
}

// programWith is like program, with a given stderr.
func programWith(t *testing.T, stderr io.Writer, name string, args ...string) (lines <-chan string, kill func()) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed, and CI needs it", name)
		}
		t.Skipf("%s is not installed (Debian packages nanomsg-utils and nng-utils)", name)
	}
	cmd := exec.Command(path, args...)
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	printed := make(chan string, 1000)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			select {
			case printed <- scan.Text():
			default: // no one reads any more
			}
		}
	}()
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = cmd.Wait()
	})
	t.Cleanup(kill)
	return printed, kill
}

func awaitLine(t *testing.T, lines <-chan string, want string) {
	t.Helper()
	timeout := time.After(patience)
	var got []string
	for {
		select {
		case line := <-lines:
			if line == want {
				return
			}
			got = append(got, line)
		case <-timeout:
			t.Fatalf("got lines %q, want %q", got, want)
		}
	}
}
