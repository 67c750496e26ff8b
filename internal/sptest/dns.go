package sptest

import (
	"context"
	"net"
	"testing"
)

// FakeDNS answers every question about a name with the same addresses until the
// test ends.
func FakeDNS(t testing.TB, addresses ...string) {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		server.Close()
	})
	go func() {
		question := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(question)
			if err != nil {
				return
			}
			_, _ = server.WriteTo(answerDNS(question[:n], addresses), from)
		}
	}()
}

// answerDNS answers a question (RFC 1035, section 4) with IPv4 addresses. It
// has no IPv6 addresses.
func answerDNS(question []byte, addresses []string) []byte {
	end := 12
	for question[end] != 0 {
		end += int(question[end]) + 1
	}
	end += 5 // the zero, the type and the class
	isA := question[end-3] == 1
	if !isA {
		addresses = nil
	}
	answer := append([]byte(nil), question[:end]...)
	answer[2], answer[3] = 0x85, 0x80 // authoritative, no error
	copy(answer[6:12], []byte{0, byte(len(addresses)), 0, 0, 0, 0})
	for _, address := range addresses {
		answer = append(answer, 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		answer = append(answer, net.ParseIP(address).To4()...)
	}
	return answer
}
