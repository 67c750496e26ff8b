//go:build linux

package faults

import (
	"encoding/binary"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"
)

// What the systems and peers on both sides need to notice that the other side
// has vanished without a word.
const (
	accepted    = 20 * time.Second // user timeout of servers, and subscribers of whole lists
	dialedTime  = 10 * time.Minute // that of clients and other subscribers
	silenceTime = 30 * time.Second // without a beat
	doubtTime   = 5 * time.Second  // the shortest doubt of a client
	firstDoubt  = 30 * time.Second // that before it knows the pauses
	probe       = time.Second      // between two probes of keepalive

	// slack is less than what the bounds differ in, and more than a busy
	// machine needs to show that something has happened.
	slack = 4 * time.Second
)

// Ports of a site, and of a publisher of 2015 beside it.
const (
	surveyPort    = 10000
	listPort      = 20000
	publisherPort = 30000
)

// dial is an attempt to connect from a namespace to a port.
type dial struct {
	from *space
	port uint16
}

// watchDials records a packet that begins a connection.
func (n *network) watchDials(from *space, packet []byte) {
	const syn, ack = 0x02, 0x10
	header := int(packet[0]&0x0f) * 4
	if len(packet) < header+14 || packet[9] != syscall.IPPROTO_TCP || packet[header+13]&(syn|ack) != syn {
		return
	}
	d := dial{from, binary.BigEndian.Uint16(packet[header+2:])}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dials[d] = true
}

// dialed reports whether a namespace has tried to connect to a port since the
// last cut.
func (n *network) dialed(from *space, port uint16) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials[dial{from, port}]
}

// vanish is a server and a publisher of 2015 on one machine, and all kinds of
// peers on another one, between which the network is cut and never restored.
type vanish struct {
	*site
	net         *network
	there, here *space
	subscriber  *process
}

func newVanish(t *testing.T, pollTime time.Duration) *vanish {
	t.Helper()
	net := newNetwork(t, 2)
	v := &vanish{net: net, there: net.spaces[0], here: net.spaces[1]}
	v.site = newSiteAt(t, v.there.address, v.there, order{Timing: timing{PollTime: pollTime}})
	url := fmt.Sprintf("tcp://%s:%d", v.there.address, publisherPort)
	v.launchIn("publisher", order{Publisher: url}, v.there).state()
	v.launchIn("client", v.peers(order{Announcers: []string{"client"}}), v.here)
	v.subscriber = v.launchIn("subscriber", v.peers(order{Subscribers: 1}), v.here)
	v.launchIn("plain", v.peers(order{PlainSubscribers: 1}), v.here)
	of := v.launchIn("of-publisher", order{PubSub: url, Subscribers: 1}, v.here)
	v.eventually(func() string {
		if s := v.server.state(); len(s.Services) != 1 || s.Readers != 2 {
			return fmt.Sprintf("the server lists %d names and has %d subscribers", len(s.Services), s.Readers)
		}
		if of.state().Heard.IsZero() {
			return "the publisher has no subscriber"
		}
		return ""
	})
	v.awaitComplete() // which is told
	return v
}

// sign is something that shows that one side has noticed.
type sign struct {
	what  string
	bound time.Duration // since the cut
	seen  func() bool
}

// expect cuts the network, and waits for all signs. Each must be seen within
// its bound.
func (v *vanish) expect(fault string, signs ...sign) {
	v.t.Helper()
	cut := v.net.cutOff(v.there)
	var measured []string
	for ; len(signs) > 0; time.Sleep(20 * time.Millisecond) {
		signs = slices.DeleteFunc(signs, func(s sign) bool {
			seen, took := s.seen(), time.Since(cut)
			if seen {
				measured = append(measured, after(s.what, took))
			}
			if late := took > s.bound+slack; late {
				v.t.Errorf("%s: not within %v of the cut and %v more", s.what, s.bound, slack)
				return true
			}
			return seen
		})
	}
	v.finish(fault, "each side notices within its bound", measured...)
}

// gone is a sign that the server has ended its connection with the client.
func (v *vanish) gone(bound time.Duration) sign {
	return sign{"client gone", bound, func() bool {
		s := v.server.state()
		return s.Clients == 0 && len(s.Services) == 0
	}}
}

// unread is a sign that the server has subscribers left, and not more.
func (v *vanish) unread(left int, bound time.Duration) sign {
	return sign{fmt.Sprintf("%d subscribers left", left), bound, func() bool { return v.server.state().Readers <= left }}
}

// redials is a sign that a peer dials again.
func (v *vanish) redials(what string, port uint16, bound time.Duration) sign {
	return sign{what + " dials", bound, func() bool { return v.net.dialed(v.here, port) }}
}

// All of a server's peers vanish, and for them the server. Surveys and beats
// are soon unacknowledged, and nothing else is sent.
func TestVanished(t *testing.T) {
	t.Parallel()
	const pollTime = time.Second
	v := newVanish(t, pollTime)
	// The client has to learn how far apart its surveys are.
	for range 4 {
		heard := v.subscriber.state().Heard
		v.eventually(func() string {
			if v.subscriber.state().Heard.After(heard) {
				return ""
			}
			return "there is no beat"
		})
	}
	v.expect("all vanish, surveys each second",
		v.gone(accepted+2*pollTime),
		v.unread(1, accepted+pollTime+probe),
		v.unread(0, 2*accepted+probe), // it is told that the client has left
		v.redials("client", surveyPort, doubtTime),
		v.redials("subscriber", listPort, silenceTime+redial),
		v.redials("subscriber of whole lists", publisherPort, accepted+probe+redial))
}

// The same while hardly anything is sent. What is sent just before a timeout
// ends begins another one. The client does not know yet how rare surveys are.
func TestVanishedIdle(t *testing.T) {
	long(t)
	t.Parallel()
	for pollTime, bound := range map[time.Duration]time.Duration{
		time.Minute:      accepted + probe,
		15 * time.Second: accepted + 15*time.Second + probe,
	} {
		t.Run(pollTime.String(), func(t *testing.T) {
			t.Parallel()
			v := newVanish(t, pollTime)
			v.expect(fmt.Sprintf("all vanish, surveys every %v", pollTime),
				v.gone(bound), v.unread(0, 2*accepted+probe), v.redials("client", surveyPort, firstDoubt))
		})
	}
}

// Ten beats take as long as the system needs to notice that the server has
// vanished.
func TestVanishedServerOfRareBeats(t *testing.T) {
	long(t)
	if end, ok := t.Deadline(); ok && time.Until(end) < dialedTime+2*time.Minute {
		t.Skip("takes long: set -timeout 15m to run it")
	}
	t.Parallel()
	v := newVanish(t, time.Minute)
	v.expect("server vanishes, beats each minute", v.redials("subscriber", listPort, dialedTime+probe+redial))
}
