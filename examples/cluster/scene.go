package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// scene holds the running processes: the servers, then the peers in the order
// in which they were started.
type scene []*child

// child is a process of the same program in another role.
type child struct {
	name    string
	cmd     *exec.Cmd
	cancel  context.CancelFunc // closes its stdin
	reports *json.Decoder      // from its stdout
	last    report             // with the newest list that was read
}

// start starts a child and returns its hello. When ctx ends the child is told
// to end, so reading from it does not block forever.
func (s *scene) start(ctx context.Context, name, urlServer, urlPubSub string) (hello report, err error) {
	program, err := os.Executable()
	if err != nil {
		return hello, err
	}
	c := &child{name: name}
	ctx, c.cancel = context.WithCancel(ctx)
	c.cmd = exec.CommandContext(ctx, program, "-server", urlServer, "-pubsub", urlPubSub)
	c.cmd.Env = append(os.Environ(), roleVariable+"="+name)
	c.cmd.Stderr = os.Stderr
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		return hello, err
	}
	c.cmd.Cancel = stdin.Close
	c.cmd.WaitDelay = 5 * time.Second // then the child is killed
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return hello, err
	}
	c.reports = json.NewDecoder(stdout)
	if err := c.cmd.Start(); err != nil {
		return hello, err
	}
	if c.reports.Decode(&hello) != nil {
		return hello, cmp.Or(c.leave(), fmt.Errorf("%s has not started", name))
	}
	*s = append(*s, c)
	return hello, nil
}

// take removes a child from those that the list must show.
func (s *scene) take(name string) *child {
	i := slices.IndexFunc(*s, func(c *child) bool { return c.name == name })
	c := (*s)[i]
	*s = slices.Delete(*s, i, i+1)
	return c
}

// await prints the lists that peer-1 receives until it has the right one, and
// then waits until all others have it too, and hear from all servers.
func (s *scene) await(cause time.Time) error {
	peers := slices.DeleteFunc(slices.Clone(*s), func(c *child) bool { return strings.HasPrefix(c.name, serverRole) })
	want := make([]string, len(peers))
	for i, c := range peers {
		want[i] = c.name
	}
	slices.Sort(want)
	var last time.Time
	for i, c := range peers {
		for !slices.Equal(c.last.Peers, want) || !c.last.HearsAll {
			var r report
			if err := c.reports.Decode(&r); err != nil {
				return fmt.Errorf("%s has the list %v, not %v, or has not heard from all servers", c.name, c.last.Peers, want)
			}
			if i == 0 && !slices.Equal(c.last.Peers, r.Peers) {
				fmt.Printf("%s  %s  [%s]\n", since(cause, r.At), change(c.last.Peers, r.Peers), brief(r.Peers))
			}
			c.last = r
		}
		if c.last.At.After(last) {
			last = c.last.At
		}
	}
	fmt.Printf("%s  all %d peers have this list\n", since(cause, last), len(peers))
	return nil
}

// end ends all children, the servers last, and returns when they are gone.
func (s *scene) end() error {
	var errs []error
	for _, c := range slices.Backward(*s) {
		errs = append(errs, c.leave())
	}
	return errors.Join(errs...)
}

// leave tells the child to end, and returns when it has ended.
func (c *child) leave() error {
	c.cancel()
	for c.reports.Decode(new(report)) == nil { // a full pipe would hold it up
	}
	var failed *exec.ExitError
	// Any other error says that the child was cancelled.
	if err := c.cmd.Wait(); errors.As(err, &failed) {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return nil
}

// kill ends the child without giving it time for anything.
func (c *child) kill() error {
	defer c.cancel()
	if err := c.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill %s: %w", c.name, err)
	}
	_ = c.cmd.Wait() // reports the kill
	return nil
}

func since(cause, at time.Time) string {
	return fmt.Sprintf("%8.1f ms", float64(at.Sub(cause))/float64(time.Millisecond))
}

func change(before, after []string) string {
	joined, left := gopherdiscovery.Diff(before, after)
	var parts []string
	if len(joined) > 0 {
		parts = append(parts, "+ "+brief(joined))
	}
	if len(left) > 0 {
		parts = append(parts, "- "+brief(left))
	}
	return strings.Join(parts, "  ")
}

func brief(names []string) string {
	if len(names) > 8 {
		return fmt.Sprintf("%d peers", len(names))
	}
	return strings.Join(names, " ")
}
