package cli

import (
	"os/signal"
	"syscall"
)

// Daemon makes the program survive the loss of the reader of its log. A
// program that serves others calls it before it begins to; one that prints for
// a reader does not, and ends quietly with SIGPIPE when the reader is gone.
func (f *Flags) Daemon() {
	// The runtime turns EPIPE on stdout and stderr into this signal. With the
	// signal ignored the write fails, and a lost line of the log is all.
	signal.Ignore(syscall.SIGPIPE)
}
