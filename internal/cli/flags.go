package cli

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/dahernan/gopherdiscovery"
)

// Flags are the flags of a program: those of the log and of TLS, which all
// programs have, and what is added to them.
type Flags struct {
	*flag.FlagSet
	About   string // stands above the list of the flags in the help
	level   logLevel
	format  logFormat
	tls     tlsFiles
	reloads []func() error // of what has been read from files
}

// NewFlags returns the flags of a program or of a subcommand.
func NewFlags(name, about string) *Flags {
	f := &Flags{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError), About: about, format: "text"}
	f.TextVar(&f.level, "log-level", f.level, "log from this `level` on: debug, info, warn or error")
	f.TextVar(&f.format, "log-format", f.format, "log in this `format`: text or json")
	f.StringVar(&f.tls.cert, "tls-cert", "", "PEM `file` with this program's certificate; all -tls files are read again when they change")
	f.StringVar(&f.tls.key, "tls-key", "", "PEM `file` with the key of that certificate")
	f.StringVar(&f.tls.ca, "tls-ca", "", "PEM `file` with the certificates of those who sign the other side's")
	return f
}

// Server adds the flag -server.
func (f *Flags) Server() *string {
	return f.String("server", "tcp://127.0.0.1:40007", "`URL` on which the server surveys")
}

// PubSub adds the flag -pubsub.
func (f *Flags) PubSub() *string {
	return f.String("pubsub", "tcp://127.0.0.1:50007", "`URL` on which the server publishes")
}

// Service adds the flag -name.
func (f *Flags) Service() *string {
	return f.String("name", "", "`name` to announce, as a rule the URL of this program")
}

// HTTP adds the flag -http. See Listen and Serve for what to do with it.
func (f *Flags) HTTP(address string) *string {
	return f.String("http", address, "`address` to serve HTTP on")
}

// Parse reads the flags. There may be no arguments besides them. When help is
// asked for it prints it to stdout, and returns [flag.ErrHelp], with which Main
// exits with 0.
func (f *Flags) Parse(args []string) error {
	f.SetOutput(io.Discard) // Main prints the error, in one line
	switch err := f.FlagSet.Parse(args); {
	case err == flag.ErrHelp:
		fmt.Printf("%s\n\nFlags of %s:\n", f.About, f.Name())
		f.SetOutput(os.Stdout)
		f.PrintDefaults()
		return err
	case err != nil:
		return Usagef("%v; -h tells more", err)
	case f.NArg() > 0:
		return Usagef("unexpected argument %q; -h tells more", f.Arg(0))
	}
	return nil
}

// Logger returns a logger to stderr, as -log-level and -log-format say. Calls
// of it never wait for who reads stderr: lines are left out when too many wait,
// and a line says how many.
func (f *Flags) Logger() *slog.Logger {
	options := &slog.HandlerOptions{Level: f.level.Level}
	logger := slog.New(slog.NewTextHandler(stderr, options))
	if f.format == "json" {
		logger = slog.New(slog.NewJSONHandler(stderr, options))
	}
	stderr.log(logger)
	return logger
}

// Dialer returns what connects clients and subscribers, with the certificates
// of the -tls flags and Logger.
func (f *Flags) Dialer() (*gopherdiscovery.Dialer, error) {
	config, err := f.ClientTLS()
	if err != nil {
		return nil, err
	}
	return &gopherdiscovery.Dialer{TLSConfig: config, Logger: f.Logger()}, nil
}

// logLevel is a level whose errors speak of this flag, and not of log/slog.
type logLevel struct{ slog.Level }

func (l *logLevel) UnmarshalText(text []byte) error {
	if l.Level.UnmarshalText(text) != nil {
		return fmt.Errorf("%q is neither debug, info, warn nor error", text)
	}
	return nil
}

type logFormat string

func (l logFormat) MarshalText() ([]byte, error) { return []byte(l), nil }

func (l *logFormat) UnmarshalText(text []byte) error {
	if s := string(text); s != "text" && s != "json" {
		return fmt.Errorf("%q is neither text nor json", s)
	}
	*l = logFormat(text)
	return nil
}
