// Package faults has only tests. They kill, stop, restart and cut off servers
// and clients, each a process of its own, and measure how long it takes until
// all have the right list again. They need Linux, and those that cut networks
// need root.
//
//	go test -v ./faults              # the quick ones, with a table of results
//	FAULTS=long go test -v ./faults  # all
package faults
