package clitest

import (
	"os"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Stream is what a program writes to its stdout or stderr.
type Stream struct {
	t     *testing.T
	read  *os.File
	ended chan struct{} // closed when nobody has it open any more: neither the program nor a child

	mu   sync.Mutex    // guards the fields below
	text []byte        // all of it
	used int           // how much of it Await has passed
	more chan struct{} // closed when there is more, and then replaced
}

// pipe is a stream and the end that the program writes to.
type pipe struct {
	*Stream
	write *os.File
}

func newStream(t *testing.T) pipe {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &Stream{t: t, read: read, ended: make(chan struct{}), more: make(chan struct{})}
	return pipe{s, write}
}

// begin begins to read.
func (s *Stream) begin() {
	go func() {
		defer close(s.ended)
		defer s.read.Close()
		buffer := make([]byte, 4096)
		for {
			n, err := s.read.Read(buffer)
			s.add(buffer[:n])
			if err != nil {
				return
			}
		}
	}()
}

// Close makes the reader of the stream go away, as head(1) does when it has
// seen enough: later writes of the program fail.
func (s *Stream) Close() {
	// A process that is just being started still has this end of the pipe.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	_ = s.read.Close() // again when the reading has ended
	<-s.ended
}

func (s *Stream) add(text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = append(s.text, text...)
	close(s.more)
	s.more = make(chan struct{})
}

// Await waits for output that matches the pattern, behind what the last call
// has found, and returns the match and its submatches. In the pattern ^ and $
// match at lines.
func (s *Stream) Await(pattern string) []string {
	s.t.Helper()
	re := regexp.MustCompile("(?m)" + pattern)
	deadline := time.After(Patience)
	for {
		found, more := s.find(re)
		if found != nil {
			return found
		}
		select {
		case <-more:
			continue
		case <-s.ended:
			if found, _ := s.find(re); found != nil {
				return found
			}
			s.t.Fatalf("the output ended without %q:\n%s", pattern, s.all())
		case <-deadline:
			s.mu.Lock()
			defer s.mu.Unlock()
			s.t.Fatalf("no output matches %q after %v:\n%s", pattern, Patience, s.text)
		}
	}
}

// find also returns what is closed when there is more.
func (s *Stream) find(re *regexp.Regexp) (found []string, more <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := re.FindSubmatchIndex(s.text[s.used:])
	if at == nil {
		return nil, s.more
	}
	for i := 0; i < len(at); i += 2 {
		group := ""
		if at[i] >= 0 {
			group = string(s.text[s.used+at[i] : s.used+at[i+1]])
		}
		found = append(found, group)
	}
	s.used += at[1]
	return found, nil
}

func (s *Stream) all() string {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(Patience):
		s.t.Fatalf("a child is still running %v after the program has ended", Patience)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.text)
}
