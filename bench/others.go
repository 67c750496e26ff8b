package main

import (
	"fmt"
	"os/exec"
	"strings"

	"github.com/dahernan/gopherdiscovery/bench/internal/child"
)

// modulePath is the path of this module. The module in the folder others needs
// much more than this one.
const modulePath = "github.com/dahernan/gopherdiscovery/bench"

// other is a kind of cluster that is measured beside the library.
type other struct {
	kind  string
	start startFunc
}

// others returns the kinds of clusters that cfg asks for. They write to the
// directory temp.
func others(cfg config, temp string) []other {
	var all []other
	if cfg.etcd {
		all = append(all, other{"cluster of etcd, embedded", startOther("Etcd", temp)})
	}
	if cfg.memberlist {
		all = append(all, other{"cluster of memberlist", startOther("Memberlist", temp)})
	}
	return all
}

// startOther returns a function that builds the module others, if it has
// changed, and starts it.
func startOther(role, temp string) startFunc {
	return func() (*child.Process, error) {
		dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", modulePath).Output()
		if err != nil {
			return nil, fmt.Errorf("find module %s, is this a clone of it? %w", modulePath, err)
		}
		cmd := exec.Command("go", "run", "-C", strings.TrimSpace(string(dir))+"/others", ".")
		return child.StartCommand(cmd, role, "GOWORK=off", "TMPDIR="+temp)
	}
}
