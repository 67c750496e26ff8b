package cli

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slowReader takes a line when it is told to.
type slowReader struct {
	strings.Builder
	goOn chan struct{}
}

func (r *slowReader) Write(line []byte) (int, error) {
	<-r.goOn
	return r.Builder.Write(line)
}

func TestLinesAreLeftOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &slowReader{goOn: make(chan struct{})}
		q := &lineQueue{to: r}
		q.log(slog.New(slog.NewTextHandler(q, nil)))
		write := func(lines ...int) (want string) {
			for _, line := range lines {
				fmt.Fprintln(q, line)
				want += fmt.Sprintln(line)
			}
			return want
		}
		want := write(-1)
		synctest.Wait() // it is being written, and waits no more
		for i := range waitingLines {
			want += write(i)
		}
		write(1000, 1001, 1002)
		begin := time.Now()
		q.flush()
		if got := time.Since(begin); got != flushTime {
			t.Errorf("the end waits for %v, want %v", got, flushTime)
		}
		close(r.goOn)
		q.flush()
		got, found := strings.CutPrefix(r.String(), want)
		if !found || strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=WARN") || !strings.Contains(got, "lines=3\n") {
			t.Errorf("written:\n%s\nwant all that waited, and that 3 were left out", r)
		}
		r.Reset()
		want = write(1, 2)
		q.flush()
		if r.String() != want {
			t.Errorf("then written: %q, want %q", r, want)
		}
		q.flush() // of nothing
	})
}
