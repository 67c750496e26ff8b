//go:build linux

package faults

import (
	"io"
	"net"
	"strings"
	"sync"

	"github.com/dahernan/gopherdiscovery/internal/sptest"
)

// publisher is one of 2015, which knows nothing of changes. Its list is empty
// and stays so.
type publisher struct {
	listener net.Listener
	serving  sync.WaitGroup

	mu    sync.Mutex // guards conns
	conns []net.Conn
}

func openPublisher(url string) (*publisher, error) {
	l, err := net.Listen("tcp", strings.TrimPrefix(url, "tcp://"))
	if err != nil {
		return nil, err
	}
	p := &publisher{listener: l}
	p.serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.conns = append(p.conns, c)
			p.mu.Unlock()
			p.serving.Go(func() { p.serve(c) })
		}
	})
	return p, nil
}

func (p *publisher) serve(c net.Conn) {
	defer c.Close()
	sp := sptest.Conn{Conn: c}
	if other, err := sp.Greet(sptest.Pub); err != nil || other != sptest.Sub || sp.Send(nil) != nil {
		return
	}
	_, _ = io.Copy(io.Discard, c)
}

func (p *publisher) Close() error {
	err := p.listener.Close()
	p.mu.Lock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.serving.Wait()
	return err
}

// subscriber is one of 2015 too. It ignores its lists, and stays away when its
// connection has ended.
type subscriber struct {
	net.Conn
	reading sync.WaitGroup
}

func openSubscriber(url string) (*subscriber, error) {
	var d net.Dialer
	d.SetMultipathTCP(true) // if the server takes part
	c, err := d.Dial("tcp", strings.TrimPrefix(url, "tcp://"))
	if err != nil {
		return nil, err
	}
	if _, err := c.Write(sptest.Hello(sptest.Sub)); err != nil {
		return nil, err
	}
	s := &subscriber{Conn: c}
	s.reading.Go(func() { _, _ = io.Copy(io.Discard, c) })
	return s, nil
}

func (s *subscriber) Close() error {
	defer s.reading.Wait()
	return s.Conn.Close()
}
