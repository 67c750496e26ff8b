// Package peers has only tests. They run the peers in Python and C as
// processes, against the library's server, and play the session that
// docs/protocol.md shows byte by byte.
package peers
