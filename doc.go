// Package gopherdiscovery gives the services of a cluster an up-to-date list of their live peers, without a system to
// run beside them: embed a server in one process and a client in each of the others, and read lists from a channel.
//
//	server, err := gopherdiscovery.Server("tcp://10.0.0.1:40007", "tcp://10.0.0.1:50007", gopherdiscovery.Options{})
//
//	client, err := gopherdiscovery.ClientWithSub("tcp://10.0.0.1:40007", "tcp://10.0.0.1:50007", "http://10.0.0.2:8080")
//	peers, err := client.Peers()
//	for list := range peers {
//		// each change of the list, as it happens
//	}
//
// # How it works
//
// The server is a SURVEYOR of the Scalability Protocols. It surveys its
// clients, the RESPONDENTs: all of them every Options.PollTime, and a new
// connection at once. Each answers with the name of its service. Subscribers
// get the list as soon as they connect, and each change of it. Those of this
// library are sent only the names that join and leave; all others get the
// whole list over PUB and SUB. A client is dropped from the list when its
// connection ends, or when it has missed Options.MissedSurveys surveys in a
// row.
//
// # What is promised
//
//   - After the last change every subscriber holds the newest list. A slow
//     reader may miss lists in between, never the newest.
//   - Lists are sorted and without duplicates. No list is delivered twice in a
//     row, and each delivery is a slice of the receiver's own.
//   - An empty list says that nobody is left. While no server can be reached
//     nothing is delivered, and the last list stands.
//   - A living client is not dropped because there are many clients, because
//     another client hangs or because a reader is slow.
//   - Clients and subscribers may start before their server and outlive it.
//     After a restart a subscriber that has a list is told nothing for one
//     PollTime, so that those who come back in time never seemed gone.
//   - Cancel does not block. After Wait or Close everything is gone: sockets, goroutines, and the addresses are free.
//   - With several servers, one that is dead, restarting or hanging neither removes a living peer nor keeps a dead one.
//   - What comes from the network is checked. Bad input is dropped, counted in Stats and logged once per connection.
//
// # URLs
//
// tcp://host:port, tls+tcp://host:port, ipc://path and inproc://name work out of the box. Any other scheme goes to the transport that the program
// has registered with go.nanomsg.org/mangos/v3. Clients and subscribers take several URLs, separated by commas.
package gopherdiscovery
