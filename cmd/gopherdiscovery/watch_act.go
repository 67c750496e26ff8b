package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dahernan/gopherdiscovery/cmd/gopherdiscovery/internal/render"
	subprocess "github.com/dahernan/gopherdiscovery/cmd/gopherdiscovery/internal/run"
	"github.com/dahernan/gopherdiscovery/internal/cli"
	"github.com/dahernan/gopherdiscovery/internal/peer"
)

// errTooFew is that a list has fewer peers than -min.
var errTooFew = errors.New("too few peers")

// action is what watch does with one list after the other.
type action struct {
	*watcher
	logger *slog.Logger
	out    io.Writer // for -dry

	reread atomic.Pointer[render.Set] // takes the place of templates in the next act

	unusable map[string]bool // what was wrong with names of the list before
	waiting  bool            // the list before had fewer than -min
	due      bool            // good files have come, and -exec has not succeeded since
	before   []string        // the list before, for the command; nil before the first
}

// prepare finds at the start what would make each act fail.
func (a *action) prepare() error {
	if a.templates == nil || a.dry {
		return nil
	}
	restored, err := a.templates.Prepare()
	if err != nil {
		return cli.Usagef("-template: %v", err)
	}
	if len(restored) > 0 {
		a.logger.Warn("files that were not checked are again as they were before", "files", restored)
	}
	return nil
}

// actAndLog calls act, and logs its error. It returns true if act is to be
// called again because it has failed.
func (a *action) actAndLog(list []string) (again bool) {
	again, err := a.act(list)
	switch {
	case errors.Is(err, errTooFew) && !again:
		if !a.waiting {
			a.logger.Warn("the list has fewer peers than -min, all stays as it is", "error", err)
		}
		a.waiting = true
		return false
	case err != nil:
		a.logger.Error("failed", "error", strings.ReplaceAll(err.Error(), "\n", "; "), "repeated", again)
	}
	a.waiting = false
	return again
}

// act writes the files, and runs the commands. After an error again reports
// whether it is worth to repeat that. An -exec that is due runs even if nothing
// can come of this list.
func (a *action) act(list []string) (again bool, err error) {
	if reread := a.reread.Swap(nil); reread != nil {
		reread.Replace(a.templates)
		a.templates = reread
	}
	peers, count := []peer.Peer(nil), len(list)
	if a.templates != nil {
		peers = a.usable(list)
		count = len(peers)
	}
	if count < a.min {
		due := a.reload()
		return due != nil, errors.Join(fmt.Errorf("%w: %d, -min is %d", errTooFew, count, a.min), due)
	}
	if a.dry {
		return false, a.templates.Print(a.out, peers)
	}
	if a.templates != nil {
		err := a.write(peers)
		if !errors.Is(err, render.ErrNotRestored) {
			err = errors.Join(err, a.reload())
		}
		if err != nil {
			return true, err
		}
	}
	if len(a.command) > 0 && (a.before == nil || !slices.Equal(a.before, list)) {
		return false, a.tell(list)
	}
	return false, nil
}

// examples is how many of the names that are left out are logged, besides
// their number. Anyone may announce a lot of them.
const examples = 5

// usable returns the peers of the names that have a host and port. The others
// are logged, once while they are there.
func (a *action) usable(list []string) []peer.Peer {
	peers, errs := peer.ParseAll(list)
	unusable := make(map[string]bool)
	var added []string
	for _, err := range errs {
		text := err.Error()
		if unusable[text] = true; !a.unusable[text] {
			added = append(added, text)
		}
	}
	a.unusable = unusable
	if len(added) > 0 {
		a.logger.Warn("names are left out of the templates", "names", len(added), "errors", added[:min(len(added), examples)])
	}
	return peers
}

// write writes the files, and notes whether -exec is due.
func (a *action) write(peers []peer.Peer) error {
	news, err := a.templates.Write(peers, a.checker())
	if news {
		a.logger.Info("the files are in place", "peers", len(peers))
		a.due = true
	}
	return err
}

// reload runs -exec if that is due, as it is for files from before the start
// that are good.
func (a *action) reload() error {
	if a.exec == "" || a.dry {
		return nil
	}
	news, err := a.templates.Check(a.checker())
	if err != nil {
		return fmt.Errorf("the files from before: %w", err)
	}
	if news {
		a.logger.Info("the files from before stay in place")
		a.due = true
	}
	if a.due {
		if err := a.shell("exec", a.exec); err != nil {
			return err
		}
	}
	a.due = false
	return nil
}

// checker returns what runs -check, and nil without that.
func (a *action) checker() func() error {
	if a.check == "" {
		return nil
	}
	return func() error { return a.shell("check", a.check) }
}

// tell runs the command of the command line with the change on its standard
// input. The next one begins where this one ends, even if it fails.
func (a *action) tell(list []string) error {
	change, err := json.Marshal(newEvent(time.Now(), a.before, list))
	if err != nil {
		return err
	}
	a.before = list
	return a.run(a.command, append(change, '\n'))
}

// shell runs the command of a flag.
func (a *action) shell(name, line string) error {
	if err := a.run(subprocess.Shell(line), nil); err != nil {
		return fmt.Errorf("-%s %w", name, err)
	}
	return nil
}

// run runs a command. Its output goes to standard error, behind the log.
func (a *action) run(args []string, stdin []byte) error {
	cli.FlushLog()
	return subprocess.Command{Args: args, Timeout: a.execTimeout, Stdin: stdin, Output: os.Stderr}.Run()
}
