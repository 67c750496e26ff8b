// Package announce runs a command, and keeps it on a list while it runs and is
// healthy.
package announce

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/dahernan/gopherdiscovery/cmd/gopherdiscovery/internal/run"
)

// Exit codes of a command that has none of its own, as shells have them.
const (
	codeCannotRun = 126
	codeNotFound  = 127
	codeSignal    = 128 // and the number of the signal
)

const (
	// askInterval is how often a member is asked whether it is announced yet.
	askInterval = 20 * time.Millisecond

	// drainInterval is how often it is looked whether the file of a drain
	// exists.
	drainInterval = 100 * time.Millisecond

	// lookInterval is how often the end looks whether a process is left.
	lookInterval = 10 * time.Millisecond
)

// Member is a name that is on the list, or on its way there.
type Member interface {
	// IsAnnounced reports whether a server has been told the name.
	IsAnnounced() bool

	// Leave takes the name off the list, and returns when that is done.
	Leave()
}

// Program is a command that is announced.
type Program struct {
	// Args are the command and its arguments. It has our standard input,
	// output and error.
	Args []string

	// Join puts the command on the list.
	Join func() (Member, error)

	// Check says whether the command is healthy. If nil, it is while it runs.
	Check *Check

	// DrainFile takes the command off the list while it exists, if it is not
	// empty.
	DrainFile string

	// DrainSignal takes the command off the list, and back when it comes again.
	// It is not passed on. It is nil if no signal does.
	DrainSignal os.Signal

	// EndSignal is to end the command, as SIGTERM, SIGINT and SIGQUIT are. It
	// is nil if no other signal is.
	EndSignal os.Signal

	// Grace is how long the command goes on after it has left the list, for
	// whatever reason, before it is told to end.
	Grace time.Duration

	// KillAfter is how long it and all that it has started then have.
	KillAfter time.Duration

	// Logger takes a line when the command is announced and when it leaves.
	Logger *slog.Logger
}

// Run runs the command until it ends, and returns its exit code: 128 and the
// number of the signal if it was killed by one, 127 if there is no such
// command, and 126 if it cannot be started. The latter two come with an error,
// and so does a Join that has failed.
//
// Signals are passed on to the process group of the command. Before the first
// of those that are to end it the command leaves the list, if it is there, and
// goes on until it has been off the list for the grace, or until there is
// another of them.
//
// On Linux the command gets the terminal of this process when it needs it, see
// [run.Process.ShareTerminal], and what systemd has meant for this process:
// sockets, and the watchdog.
func (p *Program) Run(signals <-chan os.Signal) (code int, err error) {
	args := asMainProcess(p.Args)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	process, err := run.Start(cmd)
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist):
		return codeNotFound, err
	case err != nil:
		return codeCannotRun, err
	}
	defer process.ShareTerminal()()
	a := &announced{Program: p, process: process, ask: time.NewTicker(askInterval)}
	a.ask.Stop()
	defer a.leave("it has ended")
	err = a.follow(signals)
	if err != nil {
		process.Stop(p.KillAfter)
	}
	return exitCode(process.Wait(), cmd.ProcessState), err
}

// asMainProcess returns the command in a form in which it takes for its own
// what systemd has meant for this process: sockets, and the watchdog. For that
// variables must have the process id of the command, which is known once it is
// there.
func asMainProcess(args []string) []string {
	self, line := strconv.Itoa(os.Getpid()), ""
	if os.Getenv("LISTEN_PID") == self {
		line = "unset LISTEN_PIDFDID; LISTEN_PID=$$; "
	}
	if os.Getenv("WATCHDOG_PID") == self {
		line += "WATCHDOG_PID=$$; "
	}
	if line == "" {
		return args
	}
	return append(run.Shell(line+`exec "$0" "$@"`), args...)
}

// exitCode returns that of a command which has ended.
func exitCode(err error, state *os.ProcessState) int {
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return codeCannotRun
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return codeSignal + int(status.Signal())
	}
	return state.ExitCode()
}

// announced is a command that runs.
type announced struct {
	*Program
	process *run.Process
	member  Member       // nil while the command is not to be on the list
	left    time.Time    // when the command was last taken off the list; zero if it never was
	told    bool         // it was logged that member is announced
	ask     *time.Ticker // for telling that; stopped when it was told

	healthy    bool
	fileExists bool   // that of the drain
	signaled   bool   // to be drained
	why        string // the command is not to be on the list; empty if it is
}

// IsEnd reports whether a signal is to end the command. SIGQUIT is how some,
// such as nginx, are told to finish what they have.
func (p *Program) IsEnd(s os.Signal) bool {
	return s == os.Interrupt || s == syscall.SIGTERM || s == syscall.SIGQUIT || s == p.EndSignal
}

// follow returns when the command has ended.
func (a *announced) follow(signals <-chan os.Signal) error {
	health := a.Check.start(a.Logger)
	defer health.stop()
	look := time.NewTicker(drainInterval)
	defer look.Stop()
	for {
		a.fileExists = exists(a.DrainFile, a.fileExists)
		if err := a.update(); err != nil {
			return err
		}
		select {
		case <-a.process.Done():
			return nil
		case a.healthy = <-health.changes:
		case <-look.C:
		case <-a.ask.C:
			a.tell()
		case s := <-signals:
			switch {
			case a.IsEnd(s):
				health.stop()
				a.end(s, signals)
				return nil
			case s == a.DrainSignal:
				a.signaled = !a.signaled
			default:
				a.pass(s)
			}
		}
	}
}

// exists reports whether there is a file. It returns before if that cannot be
// told.
func exists(file string, before bool) bool {
	if file == "" {
		return false
	}
	_, err := os.Stat(file)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err == nil
	}
	return before
}

const unhealthy = "it is not healthy" // the check has said so in the log

// update puts the command on the list or takes it off.
func (a *announced) update() error {
	before := a.why
	switch {
	case a.fileExists:
		a.why = "drained: " + a.DrainFile + " exists"
	case a.signaled:
		a.why = "drained: signal"
	case !a.healthy:
		a.why = unhealthy
	default:
		a.why = ""
	}
	switch {
	case a.why == "" && a.member == nil:
		return a.join()
	case a.why != "" && a.member != nil:
		a.leave(a.why)
	case a.why != before && a.why != "" && a.why != unhealthy:
		a.Logger.Info("not announced", "reason", a.why)
	}
	return nil
}

func (a *announced) join() (err error) {
	if a.member, err = a.Join(); err == nil {
		a.told = false
		a.ask.Reset(askInterval)
	}
	return err
}

// tell logs once that the command is announced, when it is.
func (a *announced) tell() {
	if !a.told && a.member.IsAnnounced() {
		a.told = true
		a.ask.Stop()
		a.Logger.Info("announced")
	}
}

// leave takes the command off the list, if it is there.
func (a *announced) leave(why string) {
	if a.member == nil {
		return
	}
	a.tell()
	a.ask.Stop()
	a.member.Leave()
	a.member, a.left = nil, time.Now()
	msg := "not announced any more"
	if !a.told {
		msg = "not announced"
	}
	a.Logger.Info(msg, "reason", why)
}

// end ends the command: first it leaves the list, so that others stop to send
// it requests, and then it is told. end returns when none of its process group
// is left.
func (a *announced) end(s os.Signal, signals <-chan os.Signal) {
	a.leave("signal: " + s.String())
	a.process.Signal(a.wait(s, signals))
	kill := time.NewTimer(a.KillAfter)
	defer kill.Stop()
	look := time.NewTicker(lookInterval)
	defer look.Stop()
	for a.process.IsGroupLeft() {
		select {
		case <-look.C:
		case s := <-signals:
			a.pass(s)
		case <-kill.C:
			a.Logger.Warn("killed, because it has not ended in time", "time", a.KillAfter)
			a.process.Signal(os.Kill)
			return
		}
	}
}

// wait waits for what is left of the grace, and returns the signal that the
// command is to get.
func (a *announced) wait(s os.Signal, signals <-chan os.Signal) os.Signal {
	grace := time.NewTimer(time.Until(a.left.Add(a.Grace)))
	defer grace.Stop()
	for {
		select {
		case <-grace.C:
			return s
		case <-a.process.Done():
			return s
		case further := <-signals:
			if a.IsEnd(further) {
				return further
			}
			a.pass(further)
		}
	}
}

// pass passes a signal on to the command, unless it is DrainSignal.
func (a *announced) pass(s os.Signal) {
	if s != a.DrainSignal {
		a.process.Signal(s)
	}
}
