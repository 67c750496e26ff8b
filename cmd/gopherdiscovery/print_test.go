package main

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// The end waits for a reader, but not for one who hangs.
func TestOutput(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		readAfter time.Duration // from the end on
		want      error
	}{
		"read in time": {readerTime - 1, nil},
		"not read":     {readerTime + 1, errInterrupted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				read, write := io.Pipe()
				written := make(chan error)
				go func() {
					n, err := output{ctx, write}.Write([]byte("text"))
					if err == nil && n != len("text") {
						t.Errorf("%d bytes are written, want all", n)
					}
					written <- err
				}()
				time.Sleep(time.Hour)
				select {
				case err := <-written:
					t.Errorf("error %v before the end, want none until then", err)
				default:
				}
				cancel()
				time.AfterFunc(test.readAfter, func() { _, _ = io.ReadFull(read, make([]byte, 4)) })
				if err := <-written; !errors.Is(err, test.want) {
					t.Errorf("error %v, want %v", err, test.want)
				}
				time.Sleep(time.Second)
			})
		})
	}
}
