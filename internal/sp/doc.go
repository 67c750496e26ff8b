// Package sp keeps the connections of the Scalability Protocols, over mangos
// and our own transports for tcp, tls+tcp and ipc. It knows nothing of names,
// lists and surveys: a [Role] gives each connection a [Session], which takes
// messages and says the next ones.
//
// A connection goes through these states:
//
//	accepted ----+
//	             +--> handshakes --> mangos --> Session.Began --> Session.Ended
//	Line.Dial ---+         |           |                               |
//	    ^                  v           v                               |
//	    +------------- it fails, or is not wanted <--------------------+
//
// A [Line] dials again after a pause until it is hung up, and its [Outage] says
// in the log why. [Socket.End] closes everything, in any state, and returns
// when nothing is left.
package sp
