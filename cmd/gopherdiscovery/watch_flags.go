package main

import (
	"cmp"
	"context"
	"flag"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/cmd/gopherdiscovery/internal/follow"
	"github.com/dahernan/gopherdiscovery/cmd/gopherdiscovery/internal/render"
	subprocess "github.com/dahernan/gopherdiscovery/cmd/gopherdiscovery/internal/run"
	"github.com/dahernan/gopherdiscovery/internal/cli"
	"github.com/dahernan/gopherdiscovery/internal/names"
)

// watcher is what watch does besides printing, as its flags say.
type watcher struct {
	match       *names.Pattern
	specs       []string
	check, exec string
	execTimeout time.Duration
	quiet       follow.Quiet
	timeout     time.Duration
	min         int
	once, dry   bool

	templates *render.Set // nil without any
	command   []string
}

// The flags that have no meaning when watch prints, and those that have none
// without templates.
var (
	ofActions   = []string{"exec-timeout", "min", "wait"}
	ofTemplates = []string{"check", "dry", "exec"}
)

func newWatcher(flags *cli.Flags) *watcher {
	w := &watcher{match: matchFlag(flags)}
	flags.Func("template", "write the file DST from the template SRC at each change; `SRC:DST`, may be given more than once; SIGHUP reads SRC again", func(spec string) error {
		w.specs = append(w.specs, spec)
		return nil
	})
	flags.StringVar(&w.check, "check", "", "shell `command` that says with exit code 0 that the files are good; otherwise the old ones come back")
	flags.StringVar(&w.exec, "exec", "", "shell `command` to run at the start and when files have changed, after -check")
	flags.DurationVar(&w.execTimeout, "exec-timeout", 30*time.Second, "longest `time` that a command may run; then its process group is ended")
	flags.Var(&w.quiet, "wait", "act on a change when there was no other for so long, but not later than so long after it; `QUIET[:MAX]`, MAX is 4 times QUIET unless given")
	flags.DurationVar(&w.timeout, "timeout", 10*time.Second, "at the start of -template and COMMAND, and with -once: the longest `time` to wait for the complete list of each server")
	flags.IntVar(&w.min, "min", 0, "write nothing, and run no COMMAND, while the list has fewer peers than this `number`; for templates those with a host and port count")
	flags.BoolVar(&w.once, "once", false, "print one complete list or act on it, and end: with 1 if that has failed")
	flags.BoolVar(&w.dry, "dry", false, "print what the files would be, write nothing and run nothing")
	return w
}

// acts reports whether there is anything else to do than to print.
func (w *watcher) acts() bool { return len(w.specs) > 0 || len(w.command) > 0 }

// parse checks the flags that were given, and reads the templates.
func (w *watcher) parse(flags *cli.Flags, command []string) (err error) {
	w.command = command
	if len(command) > 0 && strings.Contains(command[0], "://") {
		return cli.Usagef("COMMAND %s is a URL, want -pubsub %[1]s", command[0])
	}
	flags.Visit(func(given *flag.Flag) {
		err = cmp.Or(err, w.misplaced(given.Name))
	})
	switch {
	case err != nil:
		return err
	case w.execTimeout <= 0:
		return cli.Usagef("-exec-timeout %v is not above 0", w.execTimeout)
	case w.timeout <= 0:
		return cli.Usagef("-timeout %v is not above 0", w.timeout)
	case w.min < 0:
		return cli.Usagef("-min %d is below 0", w.min)
	}
	if len(w.command) > 0 {
		if _, err := exec.LookPath(w.command[0]); err != nil {
			return cli.Usagef("COMMAND %q: %v", w.command[0], err)
		}
	}
	if w.check != "" || w.exec != "" {
		if _, err := exec.LookPath(subprocess.Shell("")[0]); err != nil {
			return cli.Usagef("-check and -exec need a shell: %v", err)
		}
	}
	if len(w.specs) > 0 {
		if w.templates, err = render.ParseSet(w.specs); err != nil {
			return cli.Usagef("-template: %v", err)
		}
	}
	return nil
}

// misplaced returns why a flag has no meaning for what watch does.
func (w *watcher) misplaced(name string) error {
	switch {
	case len(w.specs) == 0 && slices.Contains(ofTemplates, name):
		return cli.Usagef("-%s needs -template; -h tells more", name)
	case !w.acts() && slices.Contains(ofActions, name):
		return cli.Usagef("-%s needs -template or a command; -h tells more", name)
	case w.acts() && name == "json":
		return cli.Usagef("-json is for printing, which -template and a command take the place of")
	}
	return nil
}

// watch returns when ctx ends, or with -once when all is done. A command that
// runs by then is waited for, so that no file is left unchecked. So it is, also
// with -once, when the terminal or the reader of the log goes away.
func (w *watcher) watch(ctx context.Context, flags *cli.Flags, dialer *gopherdiscovery.Dialer, urls string) error {
	a := &action{watcher: w, logger: dialer.Logger, out: output{ctx, os.Stdout}}
	if err := a.prepare(); err != nil {
		return err
	}
	again := make(chan struct{}, 1)
	if w.templates != nil {
		flags.OnHangup(func() error {
			templates, err := render.ParseSet(w.specs)
			if err != nil {
				return err
			}
			a.reread.Store(templates)
			select {
			case again <- struct{}{}:
			default: // that has not been done yet, and will find these
			}
			return nil
		})
	}
	if !w.dry {
		flags.Daemon()
	}
	if w.once {
		list, err := look(ctx, dialer, urls, *w.match, w.timeout)
		if err != nil {
			return err
		}
		_, err = a.act(list)
		return err
	}
	sub, err := dialer.NewSubscriber(ctx, urls)
	if err != nil {
		return err
	}
	defer sub.Close()
	follow.Follower{Act: a.actAndLog, Again: again, Quiet: w.quiet, Timeout: w.timeout}.Run(ctx, chosen{sub, *w.match})
	return nil
}

// chosen is a subscription to the names that match.
type chosen struct {
	*gopherdiscovery.Subscriber
	match names.Pattern
}

func (c chosen) List() []string { return c.match.Filter(c.Subscriber.List()) }
