package interop_test

import (
	"sync/atomic"
	"time"

	"nanomsg.org/go-mangos"
)

// A respondent of mangos v1.4.0 that loses its connection, or is closed, while
// it answers has a data race and may panic: it sends on a channel that the end
// of the connection closes (protocol/respondent/respondent.go, sender and
// RemoveEndpoint). The transport below lets it learn of the end only after it
// has answered. It does not change the bytes on the wire.

type tactfulTransport struct{ mangos.Transport }

func (t tactfulTransport) NewDialer(url string, sock mangos.Socket) (mangos.PipeDialer, error) {
	d, err := t.Transport.NewDialer(url, sock)
	return tactfulDialer{d}, err
}

type tactfulDialer struct{ mangos.PipeDialer }

func (d tactfulDialer) Dial() (mangos.Pipe, error) {
	p, err := d.PipeDialer.Dial()
	if err != nil {
		return nil, err
	}
	return &tactfulPipe{Pipe: p}, nil
}

type tactfulPipe struct {
	mangos.Pipe
	unanswered atomic.Int64
}

// Recv delays an error until surveys have been answered, but does not wait for
// an answer that may never come: v1 drops one when two surveys come at once.
func (p *tactfulPipe) Recv() (*mangos.Message, error) {
	m, err := p.Pipe.Recv()
	if err == nil {
		p.unanswered.Add(1)
		return m, nil
	}
	for end := time.Now().Add(time.Second); p.unanswered.Load() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	return nil, err
}

func (p *tactfulPipe) Send(m *mangos.Message) error {
	defer p.unanswered.Add(-1)
	return p.Pipe.Send(m)
}
