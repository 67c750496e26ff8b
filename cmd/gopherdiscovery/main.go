// Gopherdiscovery is the program of the library of the same name. Each of its
// subcommands is in a file of its own; main.go has what they share. See
// ../README.md.
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/peterbourgon/ff/v3"
	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/dahernan/gopherdiscovery/internal/cli"
)

const about = `Gopherdiscovery keeps an up-to-date list of the live peers of a cluster. A flag
that is not given is taken from the environment: -log-level of the command serve
from GOPHERDISCOVERY_SERVE_LOG_LEVEL.`

// environment is how the variables begin that stand for flags. The name of the
// command follows: flags of the same name are not the same in all.
const environment = "GOPHERDISCOVERY_"

func main() { cli.Main("gopherdiscovery", run) }

func run(ctx context.Context, args []string) error {
	root := &ffcli.Command{
		ShortUsage:  "gopherdiscovery COMMAND [flags]",
		LongHelp:    about,
		FlagSet:     flag.NewFlagSet("gopherdiscovery", flag.ContinueOnError),
		Subcommands: []*ffcli.Command{serveCommand(), watchCommand(), announceCommand(), listCommand()},
		Exec: func(_ context.Context, args []string) error {
			if len(args) > 0 {
				return cli.Usagef("unknown command %q; -h tells more", args[0])
			}
			return cli.Usagef("no command is given; -h tells more")
		},
	}
	addShellCommands(root)
	if err := parse(root, args); err != nil {
		return err
	}
	return root.Run(ctx)
}

// command returns a subcommand. Its usage is what follows its name on the
// command line, and its flags are set from the environment too, unless they are
// given. Exec gets the arguments behind the flags.
func command(flags *cli.Flags, usage, short string, exec func(ctx context.Context, args []string) error) *ffcli.Command {
	return &ffcli.Command{
		Name:       flags.Name(),
		ShortUsage: "gopherdiscovery " + flags.Name() + " " + usage,
		ShortHelp:  short,
		LongHelp:   flags.About,
		FlagSet:    flags.FlagSet,
		Options:    []ff.Option{ff.WithEnvVarPrefix(environment + strings.ToUpper(flags.Name()))},
		Exec:       exec,
	}
}

// parse prints help to stdout if it is asked for, and returns flag.ErrHelp
// then, with which cli.Main exits with 0.
func parse(root *ffcli.Command, args []string) error {
	var help bytes.Buffer // of a wrong flag too, which is one line on stderr
	root.FlagSet.SetOutput(&help)
	for _, c := range root.Subcommands {
		c.FlagSet.SetOutput(&help)
	}
	err := root.Parse(args)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, flag.ErrHelp):
		_, _ = help.WriteTo(os.Stdout)
		return flag.ErrHelp
	}
	return cli.Usagef("%v%s; -h tells more", cmp.Or(errors.Unwrap(err), err), wrongVariable(err))
}

// wrongVariable returns the value of the environment variable that an error of
// ff names, which does not quote it.
func wrongVariable(err error) string {
	for _, word := range strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '"' }) {
		if value := os.Getenv(word); value != "" && strings.HasPrefix(word, environment) {
			return fmt.Sprintf(" %q", value)
		}
	}
	return ""
}

// noArguments is the check of a subcommand that takes none.
func noArguments(args []string) error {
	if len(args) > 0 {
		return cli.Usagef("unexpected argument %q; -h tells more", args[0])
	}
	return nil
}

// version is as go install has stamped it: a release, or a commit, or (devel)
// without either.
func version() string {
	module := "(unknown)"
	if info, ok := debug.ReadBuildInfo(); ok {
		module = info.Main.Version
	}
	return fmt.Sprintf("gopherdiscovery %s %s %s/%s", module, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
