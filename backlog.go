package gopherdiscovery

import "container/list"

// backlog holds the messages that are being sent to subscribers, one for each
// connection. Many connections may send the same message, but subscribers that
// do not read would each need another one if the list changed between them. So
// the bytes of all different messages together are bounded.
type backlog struct {
	order   list.List     // of *subscription, the one that has been sending for longest first
	senders map[*byte]int // the connections that send a message, by its last byte
	bytes   int           // of the messages, each counted once
}

// begin records that a subscription sends a message now, and no other one.
// Short messages are copied when they are sent, and do not count.
func (b *backlog) begin(s *subscription, message []byte) {
	b.end(s)
	if len(message) <= smallMessage {
		return
	}
	if b.senders == nil {
		b.senders = make(map[*byte]int)
	}
	s.message, s.place = message, b.order.PushBack(s)
	last := lastByte(message)
	if b.senders[last]++; b.senders[last] == 1 {
		b.bytes += len(message)
	}
}

// end records that a subscription sends nothing any more.
func (b *backlog) end(s *subscription) {
	if s.place == nil {
		return
	}
	b.order.Remove(s.place)
	last := lastByte(s.message)
	if b.senders[last]--; b.senders[last] == 0 {
		delete(b.senders, last)
		b.bytes -= len(s.message)
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
