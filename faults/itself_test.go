//go:build linux

package faults

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// A client waits for a server on its own machine, at a port that the system
// also gives to connections. So it connects to itself now and then. It does not
// keep the server from its port.
func TestClientConnectsToItself(t *testing.T) {
	t.Parallel()
	in := newNetwork(t, 1).spaces[0]
	if err := in.run("sh", "-c", "echo 40000 40001 >/proc/sys/net/ipv4/ip_local_port_range"); err != nil {
		t.Fatal(err)
	}
	o := order{Server: true, Survey: "tcp://127.0.0.1:40000", PubSub: "tcp://127.0.0.1:30000", Timing: quick}
	s := &site{monitor: newMonitor(), t: t, order: o}
	s.launchIn("client", s.peers(order{Announcers: []string{"client"}}), in)
	s.eventually(func() string {
		if n := in.connects(t); n < 20 {
			return fmt.Sprintf("the client has tried to connect %d times", n)
		}
		return ""
	})
	started := s.start(in)
	took := s.awaitListedWithin([]string{"client"}, started, redial)
	s.finish("client waits on an ephemeral port", "the server can bind the port", after("listed", took))
}

// connects returns how often TCP of a namespace has begun to connect.
func (s *space) connects(t *testing.T) int {
	t.Helper()
	all, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/snmp", s.holder.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	const activeOpens = 5 // the field of this name in the second line of TCP
	for line := range strings.Lines(string(all)) {
		fields := strings.Fields(line)
		if fields[0] != "Tcp:" || fields[1] == "RtoAlgorithm" {
			continue
		}
		n, err := strconv.Atoi(fields[activeOpens])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	t.Fatal("the system does not count")
	return 0
}
