// Others is a part of the program in the parent folder: it gives the job of
// gopherdiscovery to etcd and to memberlist. It is a module of its own, outside
// the workspace, because etcd needs more modules, and newer versions of them,
// than the workspace has.
package main

import (
	"fmt"
	"os"

	"github.com/dahernan/gopherdiscovery/bench/internal/child"
	"github.com/dahernan/gopherdiscovery/bench/internal/measure"
)

// kinds are the kinds of clusters, by role.
var kinds = map[string]func() measure.Cluster{
	"Etcd":       func() measure.Cluster { return new(etcd) },
	"Memberlist": func() measure.Cluster { return new(members) },
}

func main() {
	kind, known := kinds[child.Role()]
	if !known {
		fmt.Fprintln(os.Stderr, "others: run the program in the folder above with -etcd or -memberlist")
		os.Exit(2)
	}
	if err := child.Serve(&measure.Service{New: kind}); err != nil {
		fmt.Fprintln(os.Stderr, "others:", err)
		os.Exit(1)
	}
}
