package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// readerTime is how long the end waits for the reader of the output.
const readerTime = 500 * time.Millisecond

var errInterrupted = errors.New("interrupted")

// output is a writer for one goroutine. When ctx has ended it does not wait for
// a reader who hangs.
type output struct {
	ctx context.Context
	to  io.Writer
}

func (o output) Write(text []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	written := make(chan result, 1)
	go func() {
		n, err := o.to.Write(text)
		written <- result{n, err}
	}()
	select {
	case r := <-written:
		return r.n, r.err
	case <-o.ctx.Done():
	}
	select {
	case r := <-written:
		return r.n, r.err
	case <-time.After(readerTime):
		return 0, errInterrupted
	}
}

// printer prints for people, or for programs.
type printer struct {
	out    io.Writer
	inJSON bool
}

// event is a change as programs get it, in JSON. They want [] rather than null.
type event struct {
	Time   time.Time `json:"time"`
	Joined []string  `json:"joined"`
	Left   []string  `json:"left"`
	Total  int       `json:"total"` // names in the list
	List   []string  `json:"list"`  // after the change
}

func newEvent(at time.Time, before, after []string) event {
	joined, left := gopherdiscovery.Diff(before, after)
	return event{
		Time:   at,
		Joined: append([]string{}, joined...),
		Left:   append([]string{}, left...),
		Total:  len(after),
		List:   append([]string{}, after...),
	}
}

// change prints a change at once, whole: a reader of a pipe wants no half of
// it.
func (p printer) change(at time.Time, before, after []string) error {
	out := bufio.NewWriter(p.out)
	e := newEvent(at, before, after)
	if p.inJSON {
		_ = json.NewEncoder(out).Encode(e) // Flush returns the error
		return out.Flush()
	}
	clock := at.Format("2006-01-02T15:04:05.000Z07:00")
	for _, name := range e.Joined {
		fmt.Fprintf(out, "%s  + %s\n", clock, name)
	}
	for _, name := range e.Left {
		fmt.Fprintf(out, "%s  - %s\n", clock, name)
	}
	fmt.Fprintf(out, "%s  total %d\n", clock, e.Total)
	return out.Flush()
}

// list prints the names.
func (p printer) list(names []string) error {
	out := bufio.NewWriter(p.out)
	if p.inJSON {
		_ = json.NewEncoder(out).Encode(names) // Flush returns the error
		return out.Flush()
	}
	for _, name := range names {
		fmt.Fprintln(out, name)
	}
	return out.Flush()
}
