package main

import (
	"bytes"
	"sync"
)

// These compute what the names in a LIST and in a CHANGE add up to.
var (
	lists   = memo{compute: func(list []byte) (uint64, error) { return sumOf(list), nil }}
	changes = memo{compute: netSum}
)

// memo computes a value from names that the server has sent, and remembers the
// long ones. The server sends the same names to many subscribers. They are only
// compared then, so that the time is that of the server.
type memo struct {
	compute func(names []byte) (uint64, error)

	mu    sync.Mutex          // guards known
	known map[int]*remembered // by the length of the names
}

// remembered is what was computed last from names of one length.
type remembered struct {
	names []byte
	value uint64
}

// read reads names of n bytes, and returns their value.
func (m *memo) read(l *link, n int) (uint64, error) {
	if n <= l.in.Size() {
		names, err := l.read(n)
		if err != nil {
			return 0, err
		}
		return m.compute(names)
	}
	m.mu.Lock()
	last := m.known[n]
	m.mu.Unlock()
	var other []byte // the names so far, once they differ from the last ones
	at, differ := 0, last == nil
	err := l.stream(n, func(part []byte) {
		if !differ && !bytes.Equal(part, last.names[at:at+len(part)]) {
			differ = true
			other = append(make([]byte, 0, n), last.names[:at]...)
		}
		if differ {
			other = append(other, part...)
		}
		at += len(part)
	})
	if err != nil {
		return 0, err
	}
	if !differ {
		return last.value, nil
	}
	value, err := m.compute(other)
	if err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = make(map[int]*remembered)
	}
	m.known[n] = &remembered{other, value}
	return value, nil
}
