//go:build linux

package faults

import (
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer answers questions about any name with one IPv4 address, and leaves
// those about IPv6 addresses unanswered, like a firewall that drops them.
type nameServer struct {
	conn    net.PacketConn
	answers net.IP
	serving sync.WaitGroup
}

func openNameServer(at, answers string) (*nameServer, error) {
	conn, err := net.ListenPacket("udp", at)
	if err != nil {
		return nil, err
	}
	s := &nameServer{conn: conn, answers: net.ParseIP(answers)}
	s.serving.Go(s.serve)
	return s, nil
}

func (s *nameServer) serve() {
	packet := make([]byte, mtu)
	for {
		n, from, err := s.conn.ReadFrom(packet)
		if err != nil {
			return
		}
		if answer := s.answer(packet[:n]); answer != nil {
			_, _ = s.conn.WriteTo(answer, from)
		}
	}
}

// answer returns nil for a question that is not answered.
func (s *nameServer) answer(question []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 || m.Questions[0].Type != dnsmessage.TypeA {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	m.Answers = []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class},
		Body:   &dnsmessage.AResource{A: [4]byte(s.answers.To4())},
	}}
	answer, err := m.Pack()
	if err != nil {
		return nil
	}
	return answer
}

func (s *nameServer) Close() error {
	defer s.serving.Wait()
	return s.conn.Close()
}

// The first name server of a machine is dead, or questions for IPv6 addresses
// are dropped, or both. Clients connect all the same, with both resolvers of
// Go.
func TestNameServers(t *testing.T) {
	t.Parallel()
	const deadServer = "10.77.0.99"
	// A resolver gives a name server 5 seconds.
	const each = 5 * time.Second
	for name, test := range map[string]struct {
		dead  []string // name servers before the living one
		bound time.Duration
	}{
		"no IPv6 addresses": {nil, 0},
		"dead name server":  {[]string{deadServer}, each},
		"two dead ones":     {[]string{deadServer, "10.77.0.98"}, 2 * each},
	} {
		for _, resolver := range []string{"go", "cgo"} {
			t.Run(name+"/"+resolver, func(t *testing.T) {
				t.Parallel()
				net := newNetwork(t, 3)
				there, here, dns := net.spaces[0], net.spaces[1], net.spaces[2]
				s := newSiteAt(t, there.address, there, order{Timing: quick})
				s.launchIn("dns", order{NameServer: dns.address + ":53", Names: there.address}, dns).state()
				here.resolve(t, append(test.dead, dns.address))
				const host = "server.example"
				started := time.Now()
				client := s.launchIn("client", order{
					Survey: "tcp://" + host + ":10000", PubSub: "tcp://" + host + ":20000",
					Clients: []string{"client"}, Resolver: resolver,
				}, here)
				took := s.awaitListedWithin([]string{"client"}, started, test.bound)
				client.kill() // package net does not interrupt a lookup
				s.finish(name+", resolver of "+resolver, "connects with the name server's answer", after("joins", took))
			})
		}
	}
}

// resolve sets the name servers of the processes that are launched in the
// namespace from now on.
func (s *space) resolve(t *testing.T, servers []string) {
	t.Helper()
	s.resolver = filepath.Join(t.TempDir(), "resolv.conf")
	var lines string
	for _, server := range servers {
		lines += "nameserver " + server + "\n"
	}
	if err := os.WriteFile(s.resolver, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
}
