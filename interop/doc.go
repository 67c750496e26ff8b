// Package interop has only tests. They show that the library and other code
// understand each other, so that a cluster can be upgraded or rewritten one
// process at a time:
//
//   - the library of 2015, which used mangos v1 (nanomsg.org/go-mangos). Its
//     clients, subscribers and servers work together with those of today.
//   - the peers in Python and C in examples, which are run as processes. The
//     session that docs/protocol.md shows is played byte by byte.
//
// The package is a module of its own, so that mangos v1 stays out of the
// library's go.mod.
package interop
