//go:build linux

package faults

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// space is a network namespace, which to TCP is a machine of its own. It lasts
// as long as its holder, a process that does nothing else, so nothing of it is
// left whatever happens to the test.
type space struct {
	address  string
	resolver string // a resolv.conf for its processes; empty for that of the system
	holder   *exec.Cmd
	device   *os.File // what the machine sends and receives
}

// network connects namespaces with a switch in this process, which can lose and
// delay packets like a bad network, and can be cut. It does what tc's netem
// does, but the kernel only has to support TUN devices.
type network struct {
	spaces []*space

	mu     sync.Mutex     // guards the fields below
	cut    []*space       // packets between these and the others vanish
	holder *space         // packets to the floating address go there
	flows  map[tuple]bool // known TCP connections; true if their packets vanish
	dials  map[dial]bool  // those since the last cut
	loss   float64        // share of packets that vanish
	delay  time.Duration
	// jitter is by how much the delay may be longer or shorter, so that packets
	// overtake each other.
	jitter time.Duration
}

// mtu is the default of the devices.
const mtu = 1500

// newNetwork returns n connected namespaces. It skips the test where they
// cannot be created.
func newNetwork(t *testing.T, n int) *network {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	for _, program := range []string{"ip", "nsenter", "cat"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("network namespaces: %v", err)
		}
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skipf("network namespaces: %v", err)
	}
	net := &network{flows: make(map[tuple]bool), dials: make(map[dial]bool)}
	for i := range n {
		s, err := newSpace(t, fmt.Sprintf("10.77.0.%d", i+1))
		if errors.Is(err, syscall.EPERM) {
			t.Skipf("network namespaces: %v", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		net.spaces = append(net.spaces, s)
	}
	for _, s := range net.spaces {
		go net.carry(s)
	}
	return net
}

func newSpace(t *testing.T, address string) (*space, error) {
	s := &space{address: address, holder: exec.Command("cat")}
	s.holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	stdin, err := s.holder.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := s.holder.Start(); err != nil {
		return nil, err
	}
	running.Add(1)
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = s.holder.Wait()
		running.Add(-1)
	})
	if s.device, err = openDevice(s.holder.Process.Pid); err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = s.device.Close() })
	for _, arguments := range [][]string{
		{"link", "set", "lo", "up"},
		{"address", "add", address + "/24", "dev", deviceName},
		{"link", "set", deviceName, "up"},
	} {
		if err := s.run("ip", arguments...); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// run runs a program in the namespace.
func (s *space) run(program string, arguments ...string) error {
	command := append([]string{"-t", strconv.Itoa(s.holder.Process.Pid), "-n", program}, arguments...)
	if out, err := exec.Command("nsenter", command...).CombinedOutput(); err != nil {
		return fmt.Errorf("nsenter %q: %w: %s", command, err, out)
	}
	return nil
}

const deviceName = "tun0"

// openDevice creates a TUN device in the namespace of a process. It restores
// the thread on which it runs: if that thread ended, the children that it has
// started would be killed.
func openDevice(pid int) (_ *os.File, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer home.Close()
	namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return nil, err
	}
	defer namespace.Close()
	if err := enter(namespace); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, enter(home)) }()
	return openDeviceHere()
}

func enter(namespace *os.File) error {
	return os.NewSyscallError("setns", unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET))
}

func openDeviceHere() (*os.File, error) {
	request, err := unix.NewIfreq(deviceName)
	if err != nil {
		return nil, err
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("open /dev/net/tun", err)
	}
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("TUNSETIFF", err)
	}
	return os.NewFile(uintptr(fd), deviceName), nil
}

// carry delivers the packets that a namespace sends, until its device is
// closed.
func (n *network) carry(from *space) {
	packet := make([]byte, mtu)
	for {
		size, err := from.device.Read(packet) // one at a time
		if err != nil {
			return
		}
		n.watchDials(from, packet[:size])
		to := n.route(packet[:size])
		if to == nil || n.isDead(packet[:size]) {
			continue
		}
		delay, lost := n.fate(from, to)
		switch {
		case lost:
		case delay == 0:
			_, _ = to.device.Write(packet[:size]) // packets may be lost
		default:
			late := append([]byte{}, packet[:size]...)
			time.AfterFunc(delay, func() { _, _ = to.device.Write(late) })
		}
	}
}

// route returns the namespace that a packet is for, or nil if there is none.
func (n *network) route(packet []byte) *space {
	if len(packet) < 20 || packet[0]>>4 != 4 {
		return nil
	}
	host := int(packet[19])
	if host == floatingHost {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.holder
	}
	if host >= 1 && host <= len(n.spaces) {
		return n.spaces[host-1]
	}
	return nil
}

// fate decides what happens to a packet.
func (n *network) fate(from, to *space) (delay time.Duration, lost bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.delay > 0 {
		delay = n.delay + time.Duration((2*rand.Float64()-1)*float64(n.jitter))
	}
	return delay, slices.Contains(n.cut, from) != slices.Contains(n.cut, to) || rand.Float64() < n.loss
}

// cutOff cuts some namespaces off from the others, and returns the time.
// Without any it restores the network.
func (n *network) cutOff(spaces ...*space) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = spaces
	clear(n.dials)
	return time.Now()
}

// degrade makes the network bad, and returns the time.
func (n *network) degrade(loss float64, delay, jitter time.Duration) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loss, n.delay, n.jitter = loss, delay, jitter
	return time.Now()
}
