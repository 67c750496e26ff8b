// Package gopherdiscovery keeps an up-to-date list of live peers: embed a server in one process and a client in each of the
// others, and read the list from a channel.
package gopherdiscovery
