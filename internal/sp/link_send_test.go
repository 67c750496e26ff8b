//go:build unix

package sp

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sptest"
)

// connected returns the two ends of a connection. The first end has so small a
// buffer that it takes some messages only in part.
func connected(t *testing.T) (writer, reader *net.UnixConn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "end")
		c, err := net.FileConn(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(30 * time.Second))
		ends[i] = c.(*net.UnixConn)
	}
	if err := ends[0].SetWriteBuffer(1); err != nil {
		t.Fatal(err)
	}
	return ends[0], ends[1]
}

func rawOf(t *testing.T, c *net.UnixConn) syscall.RawConn {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// tryWrite writes as much as there is room for, returns how much that was, and
// does not wait for more room.
func TestTryWrite(t *testing.T) {
	writer, reader := connected(t)
	raw := rawOf(t, writer)
	data := make([]byte, 1<<20)
	for i := range data {
		data[i] = byte(i ^ i>>8)
	}
	written := 0
	for {
		n, err := tryWrite(raw, data[written:])
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		written += n
	}
	if written == 0 || written >= len(data) {
		t.Fatalf("%d bytes went into a connection that is not read from, want some", written)
	}
	got := make([]byte, written)
	if _, err := io.ReadFull(reader, got); err != nil || !bytes.Equal(got, data[:written]) {
		t.Errorf("what was read is not what was written, error %v", err)
	}
	writer.Close()
	if n, err := tryWrite(raw, data); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: wrote %d bytes, error %v, want none and %v", n, err, net.ErrClosed)
	}
}

func TestTryWriteToOneThatIsGone(t *testing.T) {
	writer, reader := connected(t)
	reader.Close()
	n, err := tryWrite(rawOf(t, writer), []byte("hello"))
	if n != 0 || !errors.Is(err, syscall.EPIPE) {
		t.Errorf("wrote %d bytes, error %v, want none and %v", n, err, syscall.EPIPE)
	}
}

// newTestLink returns a link that writes to c.
func newTestLink(t *testing.T, c net.Conn, scheme string) *link {
	t.Helper()
	l := newLink(c, newEndpoint(Pub, quietSettings), Address{scheme: scheme})
	if uc, ok := c.(*net.UnixConn); ok {
		l.nonblocking = newTryWriter(uc)
	}
	return l
}

// What cannot be sent at once is sent later. The other side reads the messages
// whole and in order, however slowly it reads.
func TestSendingInParts(t *testing.T) {
	for _, scheme := range []string{"tcp", "ipc"} {
		t.Run(scheme, func(t *testing.T) {
			const messages = 2000
			seed := rand.New(rand.NewPCG(1, 2))
			writer, reader := connected(t)
			l := newTestLink(t, writer, scheme)
			bodies := make([][]byte, messages)
			for i := range bodies {
				size := seed.IntN(200)
				switch seed.IntN(10) {
				case 0:
					size = SmallMessage/2 + seed.IntN(SmallMessage/2+2)
				case 1:
					size = seed.IntN(40000)
				case 2:
					size = 0
				}
				bodies[i] = bytes.Repeat([]byte{byte(i), byte(i >> 8)}, size/2+1)[:size]
			}
			done := make(chan error, 1)
			go func() { done <- readSlowly(reader, bodies, scheme == "ipc") }()
			atOnce, later, inPart := 0, 0, 0
			for _, body := range bodies {
				sent, err := l.trySend(body)
				if err != nil {
					t.Fatal(err)
				}
				if sent {
					atOnce++
					continue
				}
				later++
				if len(body) <= SmallMessage && len(l.rest[0]) < 8+len(body) {
					inPart++
				}
				if err := l.sendRest(); err != nil {
					t.Fatal(err)
				}
			}
			writer.CloseWrite()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if atOnce < messages/20 || later < messages/20 || inPart == 0 {
				t.Errorf("%d messages were sent at once, %d later and %d of these in part, want some of each", atOnce, later, inPart)
			}
		})
	}
}

// readSlowly reads messages and compares them with the given ones. It reads a
// few bytes at a time, so that the writer is always ahead.
func readSlowly(r io.Reader, bodies [][]byte, ipc bool) error {
	rng := rand.New(rand.NewPCG(3, 4))
	var want []byte
	for _, body := range bodies {
		if ipc {
			want = append(want, 1)
		}
		want = append(binary.BigEndian.AppendUint64(want, uint64(len(body))), body...)
	}
	buffer := make([]byte, 4096)
	for {
		n, err := r.Read(buffer[:1+rng.IntN(len(buffer))])
		if n > len(want) || !bytes.Equal(buffer[:n], want[:n]) {
			return errors.New("the stream is not that of the messages")
		}
		want = want[n:]
		switch {
		case err == io.EOF && len(want) > 0:
			return errors.New("the stream ends too early")
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// Nothing is sent at once on a connection that is not a socket of the system,
// such as one with TLS.
func TestTrySendWithoutASocket(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	l := newTestLink(t, near, "tcp")
	sent, err := l.trySend([]byte("hello"))
	if sent || err != nil {
		t.Fatalf("got sent %t, error %v, want neither", sent, err)
	}
	go func() { _ = l.sendRest() }()
	got := make([]byte, 13)
	if _, err := io.ReadFull(far, got); err != nil || string(got) != "\x00\x00\x00\x00\x00\x00\x00\x05hello" {
		t.Errorf("got % x, %v", got, err)
	}
}

func TestSendingOnAClosedLink(t *testing.T) {
	writer, _ := connected(t)
	l := newTestLink(t, writer, "tcp")
	l.Close()
	if _, err := l.trySend([]byte("hello")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("trySend: got error %v, want %v", err, net.ErrClosed)
	}
	if sent, err := l.trySend(make([]byte, SmallMessage+1)); sent || err != nil {
		t.Errorf("trySend of a long message: got %t, %v, want it left to sendRest", sent, err)
	}
	if err := l.sendRest(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("sendRest: got error %v, want %v", err, net.ErrClosed)
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
		{syscall.ETIMEDOUT, true}, {syscall.EHOSTUNREACH, true}, {ErrnoRefused, true}, {io.EOF, false}, {ErrnoReset, false}, {errnoPipe, false}, {os.ErrDeadlineExceeded, false},
	} {
		for what, do := range map[string]func(*link) error{
			"read":  func(l *link) error { _, err := l.Read(nil); return err },
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
			if got := (&Pipe{link: l}).TimedOut(); got != test.want {
				t.Errorf("%s fails with %v: timed out %t, want %t", what, test.err, got, test.want)
			}
		}
	}
	if new(Pipe).TimedOut() {
		t.Error("a pipe without a link has timed out")
	}
}

// A connection that cannot be written to is read to its end: the client may
// have said goodbye before it has closed the connection.
func TestGoodbyeBeforeTheEndIsRead(t *testing.T) {
	for name, send := range map[string]func(*Pipe){
		"offered": func(p *Pipe) { p.Offer() },
		"sent":    func(p *Pipe) { _ = p.Send([]byte("survey")) },
	} {
		t.Run(name, func(t *testing.T) {
			writer, reader := connected(t)
			l := newTestLink(t, writer, "tcp")
			l.reader = bufio.NewReader(l)
			core := sptest.NewFakePipe()
			p := newTestPipe(core, l.endpoint, &listening{next: []byte("survey")})
			p.link = l
			if _, err := reader.Write([]byte("\x00\x00\x00\x00\x00\x00\x00\x07goodbye")); err != nil {
				t.Fatal(err)
			}
			reader.Close()
			send(p)
			if core.IsClosed() || p.ending == nil {
				t.Errorf("closed %t, ending %t, want only that it ends", core.IsClosed(), p.ending != nil)
			}
			m, err := netPipe{link: l}.Recv()
			if err != nil || string(m.Body) != "goodbye" {
				t.Errorf("got %v, %v, want the goodbye", m, err)
			}
			if _, err := (netPipe{link: l}).Recv(); err == nil {
				t.Error("the connection does not end")
			}
		})
	}
}
