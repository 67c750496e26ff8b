package balance

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

var errCannotRewind = errors.New("the body has been read, and there is no GetBody")

// requestBody is the body of a request for one attempt. A base transport closes
// it, and may read from it and close it after it has returned an error. Until
// it is clear that there is no further attempt the source stays open: one that
// was not read is good for another. A nil requestBody is that of a request
// without one.
type requestBody struct {
	mu     sync.Mutex    // guards the fields below
	source io.ReadCloser // nil when the next attempt has it
	given  bool          // a base transport has it
	read   bool
	closed bool
	last   bool // there is no further attempt
	err    error
}

func newRequestBody(r *http.Request) *requestBody {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	return &requestBody{source: r.Body}
}

// give returns the body for a base transport.
func (b *requestBody) give() io.ReadCloser {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.given = true
	return b
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	source := b.source
	if source == nil {
		b.mu.Unlock()
		return 0, http.ErrBodyReadAfterClose
	}
	b.read = true
	b.mu.Unlock()
	n, err := source.Read(p)
	if err != nil && err != io.EOF {
		b.mu.Lock()
		b.err = err
		b.mu.Unlock()
	}
	return n, err
}

func (b *requestBody) Close() error {
	b.mu.Lock()
	source := b.source
	if source == nil || b.closed || !b.last {
		b.closed = true
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	b.mu.Unlock()
	return source.Close()
}

// failure returns the error of the source.
func (b *requestBody) failure() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// again takes the body from an attempt that has failed, and returns it for the
// next one.
func (b *requestBody) again(getBody func() (io.ReadCloser, error)) (*requestBody, error) {
	if b == nil {
		return nil, nil
	}
	b.mu.Lock()
	source, read := b.source, b.read
	if read && getBody == nil {
		b.mu.Unlock()
		return nil, errCannotRewind
	}
	b.source = nil
	b.mu.Unlock()
	if read {
		_ = source.Close()
		var err error
		if source, err = getBody(); err != nil {
			return nil, err
		}
	}
	return &requestBody{source: source}, nil
}

// release is when there is no further attempt. From now on the source is closed
// when the base transport closes the body, if that has it.
func (b *requestBody) release() {
	if b == nil {
		return
	}
	b.mu.Lock()
	b.last = true
	source := b.source
	if !b.closed && b.given {
		source = nil
	}
	b.mu.Unlock()
	if source != nil {
		_ = source.Close()
	}
}
