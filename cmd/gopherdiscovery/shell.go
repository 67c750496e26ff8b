package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/dahernan/gopherdiscovery/internal/cli"
)

// addShellCommands adds the commands that are about the program itself.
func addShellCommands(root *ffcli.Command) {
	add := func(name, usage, short string, exec func(args []string) error) {
		root.Subcommands = append(root.Subcommands, &ffcli.Command{
			Name:       name,
			ShortUsage: strings.TrimSpace("gopherdiscovery " + name + " " + usage),
			ShortHelp:  short,
			FlagSet:    flag.NewFlagSet(name, flag.ContinueOnError),
			Exec:       func(_ context.Context, args []string) error { return exec(args) },
		})
	}
	add("help", "[COMMAND]", "explain a command and its flags", func(args []string) error {
		of := root
		if len(args) > 0 {
			if of = subcommand(root, args[0]); of == nil {
				return cli.Usagef("unknown command %q; -h tells more", args[0])
			}
			args = args[1:]
		}
		if err := noArguments(args); err != nil {
			return err
		}
		fmt.Println(ffcli.DefaultUsageFunc(of))
		return nil
	})
	add("version", "", "print the version", func(args []string) error {
		if err := noArguments(args); err != nil {
			return err
		}
		fmt.Println(version())
		return nil
	})
	add("complete", "", "complete a command line for a shell, as complete -C wants it", func([]string) error {
		line := os.Getenv("COMP_LINE")
		// It ends at the cursor, which bash counts in characters.
		if point, err := strconv.Atoi(os.Getenv("COMP_POINT")); err == nil && point >= 0 {
			characters := []rune(line)
			line = string(characters[:min(point, len(characters))])
		}
		for _, word := range completions(root, line) {
			fmt.Println(word)
		}
		return nil
	})
}

func subcommand(root *ffcli.Command, name string) *ffcli.Command {
	for _, c := range root.Subcommands {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// flagWords are what flags may be that take one of a few words.
var flagWords = map[string][]string{
	"log-level":  {"debug", "info", "warn", "error"},
	"log-format": {"text", "json"},
}

// completions returns what the last word of a command line may become: the name
// of a command, a flag, or one of the words that a flag takes. The shell knows
// about files.
func completions(root *ffcli.Command, line string) (words []string) {
	given := strings.Fields(line)
	if strings.HasSuffix(line, " ") {
		given = append(given, "")
	}
	if len(given) < 2 || slices.Contains(given, "--") {
		return nil
	}
	last := given[len(given)-1]
	add := func(word string) {
		if strings.HasPrefix(word, last) {
			words = append(words, word)
		}
	}
	values := flagWords[strings.TrimLeft(given[len(given)-2], "-")]
	switch c := subcommand(root, given[1]); {
	case len(given) == 2, len(given) == 3 && given[1] == "help":
		for _, c := range root.Subcommands {
			add(c.Name)
		}
	case c != nil && values != nil:
		for _, word := range values {
			add(word)
		}
	case c != nil && strings.HasPrefix(last, "-"):
		c.FlagSet.VisitAll(func(f *flag.Flag) { add("-" + f.Name) })
	}
	return words
}
