//go:build linux

package faults

import (
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// A server is killed and started again. Its subscribers already have the list,
// and cost the server a few bytes each.
func TestReconnectIsCheap(t *testing.T) {
	t.Parallel()
	const (
		clients = 40
		// few is how many bytes one subscriber may cost, handshake included.
		few = 100
	)
	host := fmt.Sprintf("127.251.%d.%d", os.Getpid()%256, lastHost.Add(1))
	m, sides := newMonitor(), []*space{nil}
	proxy := newProxy(t, host+":20000")
	serverOrder := order{Server: true, Survey: "tcp://" + host + ":10000", PubSub: "tcp://" + host + ":20000", Timing: defaults}
	var names []string
	for i := range clients {
		names = append(names, fmt.Sprintf("http://client-%03d.example:8080", i))
	}
	start := func(name string, o order) *process {
		p := launch(t, name, o, nil, m)
		t.Cleanup(p.end)
		return p
	}
	settled := func(server, crowd *process, since time.Time) {
		t.Helper()
		testmain.Await(t, "all are listed and hear the server", func() bool {
			return slices.Equal(server.state().Services, names) && crowd.state().Heard.After(since)
		})
	}

	begin := time.Now()
	server := start("server", serverOrder)
	crowd := start("crowd", order{Survey: serverOrder.Survey, PubSub: proxy.url, Clients: names})
	m.await(t, names, 2*patience, sides...)
	settled(server, crowd, begin.Add(serverOrder.Timing.PollTime))
	m.declare(alive, names, sides...)

	m.expectQuiet()
	proxy.reset()
	server.kill()
	restarted := time.Now()
	server = start("server", serverOrder)
	settled(server, crowd, restarted)
	m.checkQuiet(t, time.Now())
	sent := proxy.sent()
	list := int64(len(strings.Join(names, "|")))
	if len(sent) < clients {
		t.Fatalf("%d subscribers have connected again, want %d", len(sent), clients)
	}
	if most := slices.Max(sent); most > few {
		t.Errorf("a subscriber that holds the list was sent %d bytes on connecting again, want %d at most", most, few)
	}
	results.add(row{
		fault: fmt.Sprintf("server restarted, %d subscribers hold its list of %d bytes", clients, list), servers: 1,
		promise: "no list, a few bytes each", measured: fmt.Sprintf("%d bytes at most", slices.Max(sent)),
		falseLeaves: m.falseLeaves(t),
	})
}

// proxy passes connections on to a server, which may be away for a moment, and
// counts the bytes that the server sends.
type proxy struct {
	url    string
	target string

	mu     sync.Mutex // guards the field below
	counts []*atomic.Int64
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{url: "tcp://" + l.Addr().String(), target: target}
	var passing sync.WaitGroup
	passing.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			passing.Go(func() { p.pass(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		passing.Wait() // no connection is left
	})
	return p
}

// reset forgets the connections so far.
func (p *proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts = nil
}

// sent returns how many bytes the server has sent on each connection since
// reset.
func (p *proxy) sent() (all []int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, count := range p.counts {
		all = append(all, count.Load())
	}
	return all
}

func (p *proxy) pass(c net.Conn) {
	defer c.Close()
	var server net.Conn
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var err error
		if server, err = net.Dial("tcp", p.target); err == nil {
			break
		}
		if time.Now().After(deadline) {
			return
		}
	}
	defer server.Close()
	count := new(atomic.Int64)
	p.mu.Lock()
	p.counts = append(p.counts, count)
	p.mu.Unlock()
	go func() {
		_, _ = io.Copy(server, c)
		_ = server.Close()
	}()
	_, _ = io.Copy(counter{c, count}, server)
}

// counter counts what is written.
type counter struct {
	io.Writer
	count *atomic.Int64
}

func (c counter) Write(bytes []byte) (int, error) {
	n, err := c.Writer.Write(bytes)
	c.count.Add(int64(n))
	return n, err
}
