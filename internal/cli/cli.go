// Package cli is what the programs of this repository share: how they end, the
// flags that are the same in all of them, and their HTTP server. A program is
//
//	func main() { cli.Main("count", run) }
//
//	func run(ctx context.Context, args []string) error {
//		flags := cli.NewFlags("count", "Count prints how many there are.")
//		pubsub := flags.PubSub()
//		once := flags.Bool("once", false, "print the first number and end")
//		if err := flags.Parse(args); err != nil {
//			return err
//		}
//		dialer, err := flags.Dialer()
//		…
//	}
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"

	"github.com/dahernan/gopherdiscovery"
)

// usageError is the fault of the arguments.
type usageError string

func (e usageError) Error() string { return string(e) }

// Usagef returns an error with which Main exits with 2. It should name the flag
// and its value.
func Usagef(format string, args ...any) error { return usageError(fmt.Sprintf(format, args...)) }

// Exit is an error with which Main exits with this code, and prints nothing. A
// program that runs another returns it to end as that one has ended.
type Exit int

func (e Exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// Main runs a program with the arguments of the process and exits: with 0 if
// run returns nil, 2 if the arguments were wrong, the code of an [Exit], and 1
// after any other error. It prints an error that is not an Exit as one line to
// stderr. A stderr that nobody reads delays the exit by half a second at most.
// The context ends with SIGINT or SIGTERM; the second of them ends a program
// that hangs.
func Main(name string, run func(ctx context.Context, args []string) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:])
	code := exitCode(err)
	if !errors.As(err, new(Exit)) && code != 0 {
		fmt.Fprintf(stderr, "%s: %s\n", name, strings.ReplaceAll(inFlags(err.Error()), "\n", "; "))
	}
	stderr.flush()
	os.Exit(code)
}

// quotedOrArgument matches values, and what the library calls its arguments.
var quotedOrArgument = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\b(?:urlServer|urlPubSub|url|service|Options\.\w+)\b`)

// inFlags returns the text of an error of the library in the words of a
// program: without the library's name, and with flags in place of arguments.
func inFlags(text string) string {
	text, isOurs := strings.CutPrefix(text, "gopherdiscovery: ")
	kind, rest, isLong := strings.Cut(text, ": ")
	if !isOurs || !isLong || !strings.HasPrefix(kind, "invalid ") {
		return text
	}
	return kind + ": " + quotedOrArgument.ReplaceAllStringFunc(rest, func(s string) string {
		switch option, isOption := strings.CutPrefix(s, "Options."); {
		case s == "urlServer":
			return "-server"
		case s == "urlPubSub", s == "url":
			return "-pubsub"
		case s == "service":
			return "-name"
		case isOption:
			return strings.ToLower(capital.ReplaceAllString(option, "-$0"))
		}
		return s
	})
}

var capital = regexp.MustCompile("[A-Z]")

func exitCode(err error) int {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	var exit Exit
	if errors.As(err, &exit) {
		return int(exit)
	}
	var usage usageError
	if errors.As(err, &usage) {
		return 2
	}
	for _, usage := range []error{
		gopherdiscovery.ErrInvalidURL, gopherdiscovery.ErrInvalidService, gopherdiscovery.ErrInvalidArgument,
	} {
		if errors.Is(err, usage) {
			return 2
		}
	}
	return 1
}
