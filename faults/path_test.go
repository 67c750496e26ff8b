//go:build linux

package faults

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// These constants say what a bad path does to each segment. A lost segment
// arrives when TCP has repeated it, and those behind it wait. That is all that
// the peers notice.
const (
	shortestDelay = 200 * time.Millisecond
	longestDelay  = 300 * time.Millisecond
	lossRate      = 0.1
	firstTimeout  = 600 * time.Millisecond // doubles with each further loss

	// mostLosses is the limit because after six losses in a row TCP has been
	// unacknowledged for longer than the library tolerates, and the connection
	// ends. That happens to one segment in a million, and is not what is tested
	// here.
	mostLosses = 5

	segmentSize = 1448
)

// path is a TCP proxy in front of a server. It does harm to connections without
// needing privileges.
type path struct {
	url    string
	target string

	passing  sync.WaitGroup
	listener net.Listener

	mu     sync.Mutex // guards the fields below
	bad    bool
	closed bool
	flows  map[*flow]struct{}
}

// flow is a connection through a path.
type flow struct {
	path       *path
	ends       [2]*net.TCPConn
	closed     chan struct{}
	blackholed chan struct{}
}

// newPath returns a path to a URL, which ends with the test.
func newPath(t *testing.T, target string) *path {
	t.Helper()
	host := fmt.Sprintf("127.252.%d.%d", os.Getpid()%256, lastHost.Add(1))
	p, err := openPath("tcp://"+host+":10000", target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// openPath opens a path from one URL to another.
func openPath(url, target string) (*path, error) {
	l, err := net.Listen("tcp", url[len("tcp://"):])
	if err != nil {
		return nil, err
	}
	p := &path{url: url, target: target[len("tcp://"):], listener: l, flows: make(map[*flow]struct{})}
	p.passing.Go(p.accept)
	return p, nil
}

// Close breaks all connections, and refuses new ones.
func (p *path) Close() error {
	defer p.passing.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for f := range p.flows {
		f.close()
	}
	return p.listener.Close()
}

// close breaks the connection.
func (f *flow) close() {
	close(f.closed)
	for _, end := range f.ends {
		_ = end.Close()
	}
}

// degrade makes the path a bad one.
func (p *path) degrade() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bad = true
}

// blackhole keeps the existing connections open, but passes on nothing more,
// not even their ends. It returns the time.
func (p *path) blackhole() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	for f := range p.flows {
		close(f.blackholed)
	}
	return time.Now()
}

func (p *path) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.passing.Go(func() { p.pass(c.(*net.TCPConn)) })
	}
}

func (p *path) pass(c *net.TCPConn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = c.Close()
		return
	}
	f := &flow{path: p, ends: [2]*net.TCPConn{c, server.(*net.TCPConn)}, closed: make(chan struct{}), blackholed: make(chan struct{})}
	p.mu.Lock()
	p.flows[f] = struct{}{}
	if p.closed { // meanwhile
		f.close()
	}
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { f.carry(f.ends[0], f.ends[1]) })
	both.Go(func() { f.carry(f.ends[1], f.ends[0]) })
	both.Wait()
	p.mu.Lock()
	delete(p.flows, f)
	p.mu.Unlock()
}

// segment is a number of bytes on their way, and the time of their arrival.
type segment struct {
	bytes []byte
	due   time.Time
}

// carry passes on what one end sends, in order, until either end closes.
func (f *flow) carry(from, to *net.TCPConn) {
	segments := make(chan segment, 1000)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(segments)
		f.read(from, segments)
	})
	for s := range segments {
		if !f.wait(s.due) {
			break
		}
		if s.bytes == nil {
			_ = to.CloseWrite()
		} else if _, err := to.Write(s.bytes); err != nil {
			break
		}
	}
	// A dead flow stays open.
	select {
	case <-f.blackholed:
		<-f.closed
	default:
	}
	_, _ = to.Close(), from.Close()
	for range segments { // let the reader end
	}
	reading.Wait()
}

// read takes in what an end sends. The end of the stream is a segment too.
func (f *flow) read(from io.Reader, segments chan<- segment) {
	var last time.Time
	for {
		buffer := make([]byte, segmentSize)
		n, err := from.Read(buffer)
		s := segment{bytes: buffer[:n], due: time.Now().Add(f.path.delay())}
		if err != nil {
			s.bytes = nil
		}
		if s.due.Before(last) {
			s.due = last
		}
		last = s.due
		segments <- s
		if err != nil {
			return
		}
	}
}

// wait reports whether the flow lasts until the given time, and returns when it
// ends or the time has come.
func (f *flow) wait(until time.Time) bool {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-f.blackholed:
		return false
	case <-f.closed:
		return false
	case <-timer.C:
	}
	select { // both may be ready
	case <-f.blackholed:
		return false
	default:
		return true
	}
}

// delay returns how long a segment is on its way.
func (p *path) delay() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.bad {
		return 0
	}
	delay := shortestDelay + rand.N(longestDelay-shortestDelay)
	for losses := 0; losses < mostLosses && rand.Float64() < lossRate; losses++ {
		delay += firstTimeout << losses
	}
	return delay
}
