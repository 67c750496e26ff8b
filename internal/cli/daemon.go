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
	OutliveReaders()
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

// OutliveReaders makes a write to a stdout or stderr that nobody has open any
// more fail, instead of ending the program. It is part of [Flags.Daemon].
func OutliveReaders() {
	// The runtime turns EPIPE on stdout and stderr into this signal, unless
	// it is caught. Commands that the program starts would inherit that it
	// is ignored, and never end in a pipeline.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
}
