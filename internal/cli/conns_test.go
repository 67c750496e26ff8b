package cli_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/cli"
	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

// site is an HTTP server in a bubble, for three connections at most. A request
// of /wait is answered after an hour, any other at once.
type site struct {
	*testing.T
	*clitest.Memory
	end context.CancelFunc
}

func inBubble(t *testing.T, test func(s *site)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &site{t, clitest.NewMemory(t), cancel}
		served := make(chan error)
		go func() {
			served <- cli.ServeAtMost(ctx, s, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/wait" {
					return
				}
				select {
				case <-time.After(time.Hour):
				case <-r.Context().Done():
				}
			}), slog.New(slog.DiscardHandler), 3)
		}()
		test(s)
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v, want nil", err)
		}
	})
}

// open opens a connection, and begins to send this. The channel is closed when
// the connection is.
func (s *site) open(text string) (closed <-chan struct{}) {
	s.Helper()
	conn, err := s.Dial()
	if err != nil {
		s.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.WriteString(conn, text)
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}()
	synctest.Wait()
	time.Sleep(time.Millisecond) // one after the other
	return ended
}

// wantOpen wants these connections to be open or closed.
func (s *site) wantOpen(want bool, conns ...<-chan struct{}) {
	s.Helper()
	synctest.Wait()
	for i, closed := range conns {
		select {
		case <-closed:
			if want {
				s.Errorf("connection %d is closed, want it to be open", i)
			}
		default:
			if !want {
				s.Errorf("connection %d is open, want it to be closed", i)
			}
		}
	}
}

// get wants a request on a new connection to be answered.
func (s *site) get() {
	s.Helper()
	response, err := s.Client().Get("http://memory/")
	if err != nil {
		s.Errorf("error %v, want an answer", err)
		return
	}
	_ = response.Body.Close()
}

const (
	silent  = ""
	waiting = "GET /wait HTTP/1.1\r\nHost: memory\r\n\r\n"
)

func TestNewConnectionEndsSilentOne(t *testing.T) {
	inBubble(t, func(s *site) {
		asking := s.open(waiting)
		first, second, third := s.open("GET /"), s.open(silent), s.open(silent)
		s.wantOpen(true, asking, second, third)
		s.wantOpen(false, first)
		s.get()
		s.wantOpen(true, asking, third)
		s.wantOpen(false, second)
	})
}

func TestNewConnectionEndsOldestRequest(t *testing.T) {
	inBubble(t, func(s *site) {
		first, second, third := s.open(waiting), s.open(waiting), s.open(waiting)
		s.get()
		s.wantOpen(true, second, third)
		s.wantOpen(false, first)
		s.get() // the connection of the other one has ended
		s.wantOpen(true, second, third)
	})
}

// A connection on which nothing comes any more does not delay the end.
func TestEndWithSilentConnection(t *testing.T) {
	for name, text := range map[string]string{"nothing": silent, "half of a header": "GET / HTTP/1.1\r\n"} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(s *site) {
				closed := s.open(text)
				start := time.Now()
				s.end()
				<-closed
				if took := time.Since(start); took > time.Second {
					s.Errorf("closed after %v, want a second at most", took)
				}
			})
		})
	}
}

// A server leaves descriptors to the rest of its process.
func TestMaxConns(t *testing.T) {
	t.Parallel()
	if got, all := cli.MaxConns(), cli.MaxDescriptors(); got < 1 || got > 10000 || uint64(got) > all/4 {
		t.Errorf("%d connections with %d descriptors, want a quarter, and 10000 at most", got, all)
	}
}

// One connection more than there may be ends the oldest.
func TestServeBoundsConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &site{t, clitest.NewMemory(t), cancel}
		served := make(chan error)
		go func() { served <- cli.Serve(ctx, s, http.NotFoundHandler(), slog.New(slog.DiscardHandler)) }()
		oldest := s.open(silent)
		var conns []net.Conn
		for range cli.MaxConns() {
			s.wantOpen(true, oldest)
			conn, err := s.Dial()
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, conn)
		}
		s.wantOpen(false, oldest)
		for _, conn := range conns {
			_ = conn.Close()
		}
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v, want nil", err)
		}
	})
}
