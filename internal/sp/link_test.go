package sp

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// allocating records the most bytes that it was asked for at once.
type allocating struct {
	rest int
	most int
}

func (a *allocating) Read(p []byte) (int, error) {
	a.most = max(a.most, len(p))
	if a.rest == 0 {
		return 0, io.EOF
	}
	n := min(len(p), a.rest)
	a.rest -= n
	return n, nil
}

func TestReadLongTrustsNoLength(t *testing.T) {
	r := &allocating{rest: 3 * chunk}
	if _, err := readLong(r, wire.MaxListLen); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got error %v for a body that ends early", err)
	}
	if r.most > chunk {
		t.Errorf("asked for %d bytes at once, want at most %d", r.most, chunk)
	}
}

func TestReadLong(t *testing.T) {
	for _, length := range []int{0, 1, chunk - 1, chunk, chunk + 1, 3*chunk + 17} {
		want := bytes.Repeat([]byte("gopher"), length/6+1)[:length]
		got, err := readLong(bytes.NewReader(want), length)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got %d bytes and error %v", length, len(got), err)
		}
	}
}
