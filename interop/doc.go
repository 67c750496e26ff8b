// Package interop has only tests. They show that the library and the one of
// 2015, which used mangos v1 (nanomsg.org/go-mangos), understand each other:
// old and new clients, subscribers and servers work together, so that a cluster
// can be upgraded one process at a time.
//
// The package is a module of its own, so that mangos v1 stays out of the
// library's go.mod.
package interop
