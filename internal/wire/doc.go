// Package wire has the formats of messages, and what each side knows from them.
// It has no socket, no clock and no goroutine: callers pass bytes and the time.
//
// A subscription has one of two forms. In the plain form, which is that of
// 2015, the server sends the whole list when the subscriber connects and at
// each change, and nothing else. In changes, it sends the list once, then what
// changes, and beats while nothing does.
//
// A server has one [Changelog] for all subscribers, and a [Cursor] for each:
//
//	connected ----> waits ----> has a list ----> has the next one ...
//	                 |   Greeter          Changelog.Next
//	                 +-- gets beats meanwhile
//
// A subscriber has [Sources], with the state of each server:
//
//	         Connect            a message that is not held
//	away ------------> connected ------------> its list counts
//	  ^                    |                        |
//	  |    Disconnect, or CheckSilence: no beat     |
//	  +--------------------+------------------------+
//
// The list of a server that has gone away counts for a while more.
package wire
