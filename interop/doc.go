// Package interop holds no code but tests. They prove that the library understands the one of 2015, which spoke through
// mangos v1 (nanomsg.org/go-mangos), and is understood by it: old and new clients, subscribers and servers work together, so
// that a cluster can be upgraded one process at a time.
//
// It is a module of its own, so that mangos v1 stays out of the library's go.mod.
package interop
