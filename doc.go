// Package gopherdiscovery gives the services of a cluster an up-to-date list
// of their live peers. It needs no separate system, such as etcd or Consul:
// embed a server in one process and a client in each of the others, and read
// lists from a channel.
//
//	server, err := gopherdiscovery.Server("tcp://10.0.0.1:40007",
//		"tcp://10.0.0.1:50007", gopherdiscovery.Options{})
//
//	client, err := gopherdiscovery.ClientWithSub("tcp://10.0.0.1:40007",
//		"tcp://10.0.0.1:50007", "http://10.0.0.2:8080")
//	peers, err := client.Peers()
//	for list := range peers {
//		// list is the new list of peers, whenever it changes
//	}
//
// # How it works
//
// The server is a SURVEYOR of the Scalability Protocols, and its clients are
// RESPONDENTs. It surveys a new connection at once, and all connections every
// [Options.PollTime]. Each client answers with the name of its service, which
// is called the name from here on.
// Subscribers get the list when they connect, and each change of it.
// Subscribers of this library are sent only the names that join and leave.
// All others are sent the whole list, over PUB and SUB. A client that closes
// says goodbye and leaves the list at once. One that is killed leaves a moment
// after its connection has ended, and one that hangs when it has missed
// [Options.MissedSurveys] surveys in a row. If most connections end together,
// the clients have [Options.ReturnTime] to come back.
//
// # Guarantees
//
//   - After the last change, every subscriber holds the newest list. A slow
//     reader may miss lists in between, but never the newest.
//   - The first list of a new cluster has all clients that start together.
//   - Lists are sorted and without duplicates. The same list is never
//     delivered twice in a row. Each delivery is a new slice that belongs to
//     the receiver.
//   - An empty list means that no peer is left. While no server can be
//     reached, nothing is delivered, and the last list remains valid.
//   - A live client is not dropped because there are many clients, because
//     other clients hang, because a reader is slow, or because the server was
//     stopped. A client that loses its connection while others keep theirs
//     leaves, and is back when it has another one.
//   - Clients and subscribers may start before their server and outlive it.
//     Clients that are back within ReturnTime after a restart of the server,
//     or after the loss of most connections, stay on the list throughout.
//   - Cancel does not block. After Wait or Close, all sockets are closed, all
//     addresses are free, and all goroutines have ended or are about to.
//   - With several servers, one that is dead, restarting or hanging neither
//     removes a live peer nor keeps a dead one.
//   - Input from the network is checked. Bad input is dropped, counted in
//     [Stats], and logged once per remote host and reason.
//
// # URLs
//
// The URLs tcp://host:port, tls+tcp://host:port, ipc://path and inproc://name
// work without further setup. Any other scheme is passed to the transport
// that the program has registered with go.nanomsg.org/mangos/v3. Where a
// server listens, the host may be empty or * for all addresses, and the port
// may be 0 for one that the system chooses; see [DiscoveryServer.URLs].
// Clients and subscribers accept several URLs, separated by commas.
//
// On Windows, ipc is a Unix socket as elsewhere, and ipc:///C:/run/a is the
// file C:\run\a. Peers of mangos, nanomsg and nng cannot be reached that way:
// their ipc is a named pipe there. Use tcp with these.
package gopherdiscovery
