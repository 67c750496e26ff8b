package clitest

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
)

// Memory is a listener of connections in memory, for bubbles of
// testing/synctest.
type Memory struct {
	conns chan net.Conn
	done  chan struct{}
	close func()
}

// NewMemory returns a listener that is closed when the test ends.
func NewMemory(t *testing.T) *Memory {
	m := &Memory{conns: make(chan net.Conn), done: make(chan struct{})}
	m.close = sync.OnceFunc(func() { close(m.done) })
	t.Cleanup(m.close)
	return m
}

// Dial returns a connection when that has been accepted.
func (m *Memory) Dial() (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case m.conns <- far:
		return near, nil
	case <-m.done:
		return nil, net.ErrClosed
	}
}

// Client returns a client whose requests go to the listener, whatever their
// host. It keeps no connection.
func (m *Memory) Client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return m.Dial() },
		DisableKeepAlives: true,
	}}
}

func (m *Memory) Accept() (net.Conn, error) {
	select {
	case conn := <-m.conns:
		return conn, nil
	case <-m.done:
		return nil, net.ErrClosed
	}
}

func (m *Memory) Close() error {
	m.close()
	return nil
}

func (m *Memory) Addr() net.Addr { return memoryAddr{} }

type memoryAddr struct{}

func (memoryAddr) Network() string { return "memory" }

func (memoryAddr) String() string { return "memory" }
