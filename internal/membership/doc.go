// Package membership decides who is alive, and when a server says so. It has no
// socket, no clock and no goroutine: events and the time go in, and actions
// come out of [Schedule.Next].
//
// A name goes through these states:
//
//	            first answer                 last connection ends
//	unknown ------------------> announced --------------------------> away
//	   ^                         |    ^                              |   |
//	   |  goodbye, withdrawal,   |    |  answer on any connection    |   |
//	   |  silence                |    +------------------------------+   |
//	   +-------------------------+                                       |
//	   |                              departure                          |
//	   +-----------------------------------------------------------------+
//
// An announced name and one that is away are on the list. Names that are away
// depart as departures says. The list as a whole is incomplete after the start
// of the server, and becomes complete once.
package membership
