package gopherdiscovery

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// allocating records the most bytes that it was asked for at once.
type allocating struct {
	rest int
	most int
}

func (a *allocating) Read(p []byte) (int, error) {
	a.most = max(a.most, len(p))
	if a.rest == 0 {
		return 0, io.EOF
	}
	n := min(len(p), a.rest)
	a.rest -= n
	return n, nil
}

func TestReadLongTrustsNoLength(t *testing.T) {
	r := &allocating{rest: 3 * chunk}
	if _, err := readLong(r, wire.MaxListLen); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got error %v for a body that ends early", err)
	}
	if r.most > chunk {
		t.Errorf("asked for %d bytes at once, want at most %d", r.most, chunk)
	}
}

func TestReadLong(t *testing.T) {
	for _, length := range []int{0, 1, chunk - 1, chunk, chunk + 1, 3*chunk + 17} {
		want := bytes.Repeat([]byte("gopher"), length/6+1)[:length]
		got, err := readLong(bytes.NewReader(want), length)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got %d bytes and error %v", length, len(got), err)
		}
	}
}

// failingConn fails to read and to write.
type failingConn struct {
	net.Conn
	err error
}

func (c failingConn) Read([]byte) (int, error)  { return 0, c.err }
func (c failingConn) Write([]byte) (int, error) { return 0, c.err }

// A link knows when the system has given its connection up.
func TestLinkThatTimesOut(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{errnosNoPath[0], true}, {io.EOF, false}, {errnoReset, false}, {errnoPipe, false}, {os.ErrDeadlineExceeded, false},
	} {
		for what, do := range map[string]func(*link) error{
			"read":  func(l *link) error { _, err := patientReader{l}.Read(nil); return err },
			"send":  func(l *link) error { return l.send(nil, []byte("x")) },
			"rest":  func(l *link) error { _, _ = l.trySend([]byte("x")); return l.sendRest() },
			"write": func(l *link) error { l.wrote(0, test.err); return test.err },
		} {
			near, far := net.Pipe()
			defer near.Close()
			defer far.Close()
			l := newTestLink(t, failingConn{near, &net.OpError{Err: os.NewSyscallError(what, test.err)}}, "tcp")
			if err := do(l); !errors.Is(err, test.err) {
				t.Errorf("%s: got error %v, want %v", what, err, test.err)
			}
			if got := (&pipe{link: l}).timedOut(); got != test.want {
				t.Errorf("%s fails with %v: timed out %t, want %t", what, test.err, got, test.want)
			}
		}
	}
	if new(pipe).timedOut() {
		t.Error("a pipe without a link has timed out")
	}
}
