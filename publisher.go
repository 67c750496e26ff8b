package gopherdiscovery

import (
	"sync"
	"time"

	"go.nanomsg.org/mangos/v3"
)

// repeatRate is how many bytes a second repetitions of an unchanged list may cost the network.
const repeatRate = 8 << 20

// publisher is the PUB side: it keeps the last list, and brings it to everyone who has not been sent it.
type publisher struct {
	*socket

	mu    sync.Mutex // guards the fields below
	pipes map[*pipe]struct{}
	last  []byte // the last list as it is sent; nil before the first

	repeated time.Time     // when the list was repeated last
	pause    time.Duration // before that

	// After the server was stopped the list may be out of date until the loop has looked around.
	pollTime  time.Duration
	confirmed time.Time // when the loop last said that the list is good
	held      bool      // or that it is not
	owed      map[*pipe]struct{}
}

func newPublisher(opt Options, set settings) *publisher {
	p := &publisher{pipes: make(map[*pipe]struct{}), owed: make(map[*pipe]struct{}), pollTime: opt.PollTime}
	p.socket = newSocket(role{
		info: mangos.ProtocolInfo{
			Self: mangos.ProtoPub, SelfName: "pub",
			Peer: mangos.ProtoSub, PeerName: "sub",
		},
		limit:    maxSurveyLen,
		posts:    true,
		attached: p.attached,
		received: p.received,
		detached: p.detached,
	}, set)
	return p
}

func (p *publisher) attached(sub *pipe) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pipes[sub] = struct{}{}
	switch late := time.Since(p.confirmed) > p.pollTime+haltedAfter; {
	case p.last == nil:
	case p.held || late:
		p.owed[sub] = struct{}{}
	default:
		sub.post(p.last)
	}
}

// confirm is called by the server's loop each time it runs, with whether the list is to be held back from those who connect.
func (p *publisher) confirm(hold bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.confirmed, p.held = time.Now(), hold
	if hold {
		return
	}
	for sub := range p.owed {
		sub.post(p.last)
	}
	clear(p.owed)
}

// received is called for what a subscriber must not do: say something.
func (p *publisher) received(sub *pipe, _ []byte) {
	sub.drop(errSubscriberTalks)
}

func (p *publisher) detached(sub *pipe) {
	p.mu.Lock()
	delete(p.pipes, sub)
	delete(p.owed, sub)
	p.mu.Unlock()
}

func (p *publisher) publish(names []string) {
	list := encodeList(names)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = list
	p.sendLocked()
}

// repeat sends the list once more, unless that is too much: it tells subscribers that the server is alive.
func (p *publisher) repeat() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	passed := p.pollTime
	if !p.repeated.IsZero() {
		passed = now.Sub(p.repeated)
	}
	if passed >= repeatInterval(len(p.last), len(p.pipes), p.pause) { // the first pause is 0, and holds up nothing
		p.pause = max(passed, p.pollTime)
		p.repeated = now
		p.sendLocked()
	}
}

// repeatInterval is how far apart repetitions are at least. It grows from one pause to the next by no more than subscribers,
// who wait for three, can bear.
func repeatInterval(listLen, subscribers int, pause time.Duration) time.Duration {
	interval := time.Duration(float64(listLen) * float64(subscribers) / repeatRate * float64(time.Second))
	return min(interval, pause*3/2)
}

func (p *publisher) sendLocked() {
	for sub := range p.pipes {
		sub.post(p.last)
	}
}

func (p *publisher) subscribers() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.pipes)
}
