package cli

import (
	"os"
	"os/signal"
	"syscall"
)

// Daemon makes the program one that outlives its terminal and the reader of its
// log. On SIGHUP it reads the files of the -tls flags again, and those of
// [Flags.OnHangup], and logs one line. Daemon is called once, after all of
// these and [Flags.Dialer], [Flags.ClientTLS] or [Flags.ServerTLS].
//
// Only a program that serves others is a daemon. One that prints for a reader
// ends with the terminal, and with SIGPIPE when the reader has gone: quietly,
// before head does in a pipeline.
func (f *Flags) Daemon() {
	// The runtime turns EPIPE on stdout and stderr into this signal. With
	// the signal ignored the write fails, and a lost line of the log is
	// all.
	signal.Ignore(syscall.SIGPIPE)

	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	logger, reloads := f.Logger(), f.reloads
	go func() {
		for range hangups {
			reloadAll(logger, reloads)
		}
	}()
}

// OnHangup adds what else is read again on SIGHUP. After an error what was read
// before is kept.
func (f *Flags) OnHangup(reload func() error) { f.reloads = append(f.reloads, reload) }
