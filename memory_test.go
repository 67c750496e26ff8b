package gopherdiscovery

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sp"
)

// memoryPair returns both ends of a connection to the name "port/one".
func memoryPair(t *testing.T, m *Memory) (dialled, accepted net.Conn) {
	t.Helper()
	ln, err := m.listen("port")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if dialled, err = m.dial("port/one"); err != nil {
		t.Fatal(err)
	}
	if accepted, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	return dialled, accepted
}

func expectRead(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Errorf("read %q and error %v, want %q", got, err, want)
	}
}

// Memory, the helper that other tests rely on, behaves as a network does.
func TestMemory(t *testing.T) {
	for name, test := range map[string]func(t *testing.T, m *Memory){
		"delivers, then ends": func(t *testing.T, m *Memory) {
			one, other := memoryPair(t, m)
			_, _ = io.WriteString(one, "hello")
			_ = one.Close()
			expectRead(t, other, "hello")
			if _, err := other.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("read behind the end: got error %v, want %v", err, io.EOF)
			}
			if _, err := other.Write([]byte{0}); !errors.Is(err, sp.ErrnoReset) {
				t.Errorf("write to a closed end: got error %v, want %v", err, sp.ErrnoReset)
			}
		},
		"holds up the writer of a reader that is slow": func(t *testing.T, m *Memory) {
			one, other := memoryPair(t, m)
			long := strings.Repeat("x", 3*memoryRoom)
			written := make(chan struct{})
			go func() {
				defer close(written)
				_, _ = io.WriteString(one, long)
			}()
			synctest.Wait()
			if n, err := one.(interface{ TryWrite([]byte) (int, error) }).TryWrite([]byte{0}); n != 0 || err != nil {
				t.Errorf("tryWrite without room: got %d, %v, want 0 and no error", n, err)
			}
			expectRead(t, other, long)
			<-written
		},
		"delivers nothing while it is frozen": func(t *testing.T, m *Memory) {
			one, other := memoryPair(t, m)
			m.Freeze("port")
			_, _ = io.WriteString(one, "hello")
			_ = one.Close()
			_ = other.SetReadDeadline(time.Now().Add(time.Hour))
			if _, err := other.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read: got error %v, want %v", err, os.ErrDeadlineExceeded)
			}
			_ = other.SetReadDeadline(time.Time{})
			m.Thaw("port")
			expectRead(t, other, "hello")
		},
		"breaks what is cut": func(t *testing.T, m *Memory) {
			one, other := memoryPair(t, m)
			go m.Cut("port/one")
			for _, c := range []net.Conn{one, other} {
				if _, err := c.Read(make([]byte, 1)); !errors.Is(err, sp.ErrnoReset) {
					t.Errorf("read: got error %v, want %v", err, sp.ErrnoReset)
				}
			}
		},
		"refuses where no server listens": func(t *testing.T, m *Memory) {
			if _, err := m.dial("port"); !errors.Is(err, sp.ErrnoRefused) {
				t.Errorf("dial: got error %v, want %v", err, sp.ErrnoRefused)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, NewMemory(t)) })
		})
	}
}
