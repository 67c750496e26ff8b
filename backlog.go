package gopherdiscovery

import (
	"container/list"

	"github.com/dahernan/gopherdiscovery/internal/sp"
)

// backlog holds the messages that are being sent to subscribers, one for each
// connection. Many connections may send the same message, but subscribers that
// do not read would each need another one if the list changed between them. So
// the bytes of all different messages together are bounded.
type backlog struct {
	order list.List            // of *subscription, which have been sending for longest first
	sent  map[*byte]*inBacklog // the messages, by their last byte
	bytes int                  // of the messages, each counted once
}

// inBacklog is a message in a backlog.
type inBacklog struct {
	size    int // as counted
	senders int // the connections that send it
}

// begin records that a subscription sends a message now, and no other one.
// Short messages are copied when they are sent, and do not count.
func (b *backlog) begin(s *subscription, message []byte) {
	b.end(s)
	if len(message) <= sp.SmallMessage {
		return
	}
	if b.sent == nil {
		b.sent = make(map[*byte]*inBacklog)
	}
	s.message, s.place = message, b.order.PushBack(s)
	last := lastByte(message)
	if b.sent[last] == nil {
		b.sent[last] = &inBacklog{size: len(message)}
		b.bytes += len(message)
	}
	b.sent[last].senders++
}

// end records that a subscription sends nothing any more.
func (b *backlog) end(s *subscription) {
	if s.place == nil {
		return
	}
	b.order.Remove(s.place)
	last := lastByte(s.message)
	m := b.sent[last]
	if m.senders--; m.senders == 0 {
		delete(b.sent, last)
		b.bytes -= m.size
	}
	s.message, s.place = nil, nil
}

// trim removes the subscriptions that have been sending for longest until at
// most limit bytes are left, and returns them.
func (b *backlog) trim(limit int) (slow []*subscription) {
	for b.bytes > limit {
		s := b.order.Front().Value.(*subscription)
		b.end(s)
		slow = append(slow, s)
	}
	return slow
}

// lastByte identifies a message: a list in the plain form is the end of LIST.
func lastByte(message []byte) *byte { return &message[len(message)-1] }
