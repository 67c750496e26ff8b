package cli

import (
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

const (
	// waitingLines is how many lines wait for a slow reader of standard
	// error. Further lines are left out and counted.
	waitingLines = 256

	// flushTime is how long the end of the program waits for that reader, and
	// the start of a command that writes there too.
	flushTime = 500 * time.Millisecond
)

// stderr is where the programs write their log and their last error.
var stderr = &lineQueue{to: os.Stderr}

// FlushLog returns when what was logged is written to standard error, so that
// what a command writes there comes behind it. It waits half a second at most
// for a reader.
func FlushLog() { stderr.flush() }

// lineQueue passes lines on in a goroutine of its own, so that a reader who
// hangs holds nobody up. The goroutine runs only while there are lines.
type lineQueue struct {
	to io.Writer

	mu      sync.Mutex // guards the fields below
	lines   [][]byte
	omitted int           // lines left out since this was last logged
	logger  *slog.Logger  // tells how many; it writes to this queue
	idle    chan struct{} // closed when the goroutine ends; nil if not running
}

// Write queues a line. It never blocks, and returns no error.
func (q *lineQueue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lines) == waitingLines {
		q.omitted++
		return len(line), nil
	}
	q.lines = append(q.lines, append([]byte(nil), line...))
	if q.idle == nil {
		q.idle = make(chan struct{})
		go q.run()
	}
	return len(line), nil
}

// log makes this logger tell how many lines were left out.
func (q *lineQueue) log(logger *slog.Logger) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.logger = logger
}

func (q *lineQueue) run() {
	for {
		line, omitted, logger := q.next()
		if omitted > 0 {
			logger.Warn("lines of the log were left out because nobody read them", "lines", omitted)
		}
		if line == nil {
			return
		}
		_, _ = q.to.Write(line) // there is nowhere to report an error
	}
}

// next returns nil when there are no more lines. The lines that were left out
// came after those that waited then, and so it tells of them when the queue is
// about to be empty.
func (q *lineQueue) next() (line []byte, omitted int, logger *slog.Logger) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lines) == 0 {
		q.lines = nil
		close(q.idle)
		q.idle = nil
		return nil, 0, nil
	}
	line = q.lines[0]
	q.lines = q.lines[1:]
	if len(q.lines) == 0 {
		omitted, q.omitted = q.omitted, 0
	}
	return line, omitted, q.logger
}

// flush returns when all lines are written, after flushTime at the latest.
func (q *lineQueue) flush() {
	q.mu.Lock()
	idle := q.idle
	q.mu.Unlock()
	if idle == nil {
		return
	}
	select {
	case <-idle:
	case <-time.After(flushTime):
	}
}
