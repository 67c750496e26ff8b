//go:build linux

package faults

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

// floating is an address that moves from one namespace to another, as a virtual
// address does from one machine to its standby.
const (
	floatingHost = 100
	floating     = "10.77.0.100"
)

// float gives namespaces the floating address. It leads nowhere until moveTo is
// called.
func (n *network) float(t *testing.T, spaces ...*space) {
	t.Helper()
	for _, s := range spaces {
		if err := s.run("ip", "address", "add", floating+"/32", "dev", deviceName); err != nil {
			t.Fatal(err)
		}
	}
}

// moveTo leads the floating address to a namespace, or to none, and returns the
// time.
func (n *network) moveTo(s *space) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.holder = s
	return time.Now()
}

// tuple identifies a TCP connection: the addresses and ports of both sides, the
// smaller first.
type tuple [2][6]byte

// tupleOf returns false if a packet is not TCP.
func tupleOf(packet []byte) (t tuple, ok bool) {
	header := int(packet[0]&0x0f) * 4
	if len(packet) < header+4 || packet[9] != syscall.IPPROTO_TCP {
		return t, false
	}
	for i := range t {
		copy(t[i][:4], packet[12+4*i:])
		copy(t[i][4:], packet[header+2*i:header+2*i+2])
	}
	if bytes.Compare(t[0][:], t[1][:]) > 0 {
		t[0], t[1] = t[1], t[0]
	}
	return t, true
}

// isDead records the connection of a packet, and reports whether its path has
// died.
func (n *network) isDead(packet []byte) bool {
	t, ok := tupleOf(packet)
	if !ok {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	dead := n.flows[t]
	n.flows[t] = dead
	return dead
}

// blackhole drops the packets of all connections that a namespace has, in both
// directions, as something on the path does that has forgotten them. Its new
// connections work. It returns the time.
func (n *network) blackhole(s *space) time.Time {
	address := netip.MustParseAddr(s.address).As4()
	n.mu.Lock()
	defer n.mu.Unlock()
	for t := range n.flows {
		if [4]byte(t[0][:4]) == address || [4]byte(t[1][:4]) == address {
			n.flows[t] = true
		}
	}
	return time.Now()
}

// age makes the namespace send SYN as systems before Linux 6.5 do: after 0, 1,
// 3 and 7 seconds.
func (s *space) age(t *testing.T) {
	t.Helper()
	const setting = "/proc/sys/net/ipv4/tcp_syn_linear_timeouts"
	if _, err := os.Stat(setting); errors.Is(err, os.ErrNotExist) {
		return // this is such a system
	}
	if err := s.run("sh", "-c", "echo 0 >"+setting); err != nil {
		t.Fatal(err)
	}
}
