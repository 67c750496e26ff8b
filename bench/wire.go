package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// These are the protocol numbers in docs/protocol.md.
const (
	protoPub        = 0x20
	protoSub        = 0x21
	protoSurveyor   = 0x62
	protoRespondent = 0x63
	protoChanges    = 0xFD51
)

// handshakeTime bounds the time to connect and shake hands.
const handshakeTime = 5 * time.Second

// The pause before a peer connects again grows by half from redialMin to
// redialMax. That of the library begins shorter.
const (
	redialMin = 100 * time.Millisecond
	redialMax = time.Second
)

// headerLen is the length of the header of each message, which holds the length
// of the message.
const headerLen = 8

// chunks are buffers for messages that do not fit in the buffer of a
// connection. A connection has one only while it reads such a message.
var chunks = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// link is a connection of a light peer. It uses little memory, since a process
// has up to 20,000 of them.
type link struct {
	net.Conn
	in *bufio.Reader
}

// dial connects, and sends the protocol at once.
func dial(addr string, buffer int, proto uint16) (*link, error) {
	l, err := dialBare(addr, buffer)
	if err != nil {
		return nil, err
	}
	if _, err := l.Write(hello(proto)); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// dialBare connects, and sends nothing.
func dialBare(addr string, buffer int) (*link, error) {
	dialer := net.Dialer{Timeout: handshakeTime, KeepAlive: -1}
	conn, err := dialer.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &link{conn, bufio.NewReaderSize(conn, buffer)}, nil
}

// redialDelay returns the pause before the next attempt after so many failures.
// A random number, chance, from 0 to 1 takes away up to a quarter.
func redialDelay(failures int, chance float64) time.Duration {
	delay := redialMin
	for range failures {
		if delay = delay * 3 / 2; delay >= redialMax {
			delay = redialMax
			break
		}
	}
	return time.Duration(float64(delay) * (1 - chance/4))
}

func hello(proto uint16) []byte {
	return []byte{0, 'S', 'P', 0, byte(proto >> 8), byte(proto), 0, 0}
}

// awaitHello reads the other side's hello, and checks its protocol.
func (l *link) awaitHello(want uint16) error {
	var got [8]byte
	if _, err := io.ReadFull(l.in, got[:]); err != nil {
		return err
	}
	if string(got[:]) != string(hello(want)) {
		return fmt.Errorf("the server's handshake is % x, want protocol %#x", got, want)
	}
	return nil
}

// next waits for a message and returns its length.
func (l *link) next() (int, error) {
	var header [headerLen]byte
	if _, err := io.ReadFull(l.in, header[:]); err != nil {
		return 0, err
	}
	length := binary.BigEndian.Uint64(header[:])
	if length > 1<<30 {
		return 0, fmt.Errorf("a message of %d bytes", length)
	}
	return int(length), nil
}

// read returns the next n bytes. They are valid until the next call.
func (l *link) read(n int) ([]byte, error) {
	if n > l.in.Size() {
		all := make([]byte, n)
		_, err := io.ReadFull(l.in, all)
		return all, err
	}
	p, err := l.in.Peek(n)
	if err != nil {
		return nil, err
	}
	_, err = l.in.Discard(n)
	return p, err
}

// stream passes the next n bytes to each, piece by piece.
func (l *link) stream(n int, each func([]byte)) error {
	chunk := chunks.Get().(*[64 << 10]byte)
	defer chunks.Put(chunk)
	for n > 0 {
		m, err := l.in.Read(chunk[:min(n, len(chunk))])
		if err != nil {
			return err
		}
		each(chunk[:m])
		n -= m
	}
	return nil
}

// message returns a body with its length in front.
func message(body []byte) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, headerLen+len(body)), uint64(len(body))), body...)
}
