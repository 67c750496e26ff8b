package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"syscall"
	"time"
)

// These are the kinds of messages of a subscription in changes.
const (
	kindWelcome = 1
	kindHave    = 2
	kindList    = 3
	kindChange  = 4
	kindBeat    = 5
	kindIgnored = 0x80 // and above
)

// welcomeFormat is the format of a WELCOME.
const welcomeFormat = 1

// fieldsAt is where the fields after the kind and the flags begin.
const fieldsAt = 2

// sumsLen is the length of the sums in a CHANGE, which precede its names.
const sumsLen = 16

// subscriptionBuffer has room for the change that one peer causes.
const subscriptionBuffer = 128

// errRefused says that the server does not know subscriptions in changes.
var errRefused = errors.New("the server refuses subscriptions in changes")

// subscription is a light peer's connection to the pub/sub address.
type subscription struct {
	*link
	form  Form
	value uint64       // of the list received last, see Form.value
	bytes atomic.Int64 // of messages that changed the list
	see   func(value uint64)
}

// subscribe connects a subscription. It passes the value of each new list to
// see.
func subscribe(addr string, f Form, see func(value uint64)) (*subscription, error) {
	proto := uint16(protoChanges)
	if f == inLists {
		proto = protoSub
	}
	l, err := dial(addr, subscriptionBuffer, proto)
	if err != nil {
		return nil, err
	}
	return &subscription{link: l, form: f, see: see}, nil
}

// welcome completes the handshakes. It returns errRefused if the server closes
// the connection because it does not know the form.
func (s *subscription) welcome() error {
	err := s.SetReadDeadline(time.Now().Add(handshakeTime))
	if err == nil {
		err = s.awaitHello(protoPub)
	}
	if err == nil && s.form == inChanges {
		err = s.greet()
	}
	if s.form == inChanges && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) {
		return errRefused
	}
	if err != nil {
		return err
	}
	return s.SetReadDeadline(time.Time{})
}

// greet awaits WELCOME and answers that it has no list.
func (s *subscription) greet() error {
	n, err := s.next()
	if err != nil {
		return err
	}
	body, err := s.read(n)
	if err != nil {
		return err
	}
	if n < 2 || body[0] != kindWelcome || body[1] != welcomeFormat {
		return fmt.Errorf("% x is no WELCOME", body)
	}
	_, err = s.Write(message([]byte{kindHave}))
	return err
}

// run follows the list until the connection ends.
func (s *subscription) run() error {
	follow := s.change
	if s.form == inLists {
		follow = s.list
	}
	for {
		n, err := s.next()
		if err != nil {
			return err
		}
		before := s.value
		if err := follow(n); err != nil {
			return err
		}
		if s.value != before {
			s.bytes.Add(int64(headerLen + n))
			s.see(s.value)
		}
	}
}

// list reads a plain list.
func (s *subscription) list(n int) error {
	s.value = uint64(n)
	return s.stream(n, func([]byte) {})
}

// change reads a message of a subscription in changes.
func (s *subscription) change(n int) error {
	if n == 0 {
		return errors.New("a message without a kind")
	}
	head, err := s.read(min(n, fieldsAt))
	if err != nil {
		return err
	}
	kind, n := head[0], n-len(head)
	switch {
	case kind == kindList && len(head) == fieldsAt:
		s.value, err = lists.read(s.link, n)
		return err
	case kind == kindChange && n > sumsLen:
		return s.apply(n)
	}
	body, err := s.read(n)
	switch {
	case err != nil:
		return err
	case kind >= kindIgnored:
		return nil
	case kind == kindBeat && n == 8:
		return s.check("BEAT", binary.BigEndian.Uint64(body))
	}
	return fmt.Errorf("a message of kind %d that is %d bytes longer than its kind and flags", kind, n)
}

// apply reads and applies the n bytes that follow the flags of a CHANGE.
func (s *subscription) apply(n int) error {
	sums, err := s.read(sumsLen)
	if err != nil {
		return err
	}
	before, after := binary.BigEndian.Uint64(sums), binary.BigEndian.Uint64(sums[8:])
	if err := s.check("CHANGE", before); err != nil {
		return err
	}
	difference, err := changes.read(s.link, n-sumsLen)
	if err != nil {
		return err
	}
	s.value += difference
	return s.check("names of a CHANGE", after)
}

// check compares a sum sent by the server with the sum of the list here.
func (s *subscription) check(what string, sum uint64) error {
	if sum != s.value {
		return fmt.Errorf("%s: the sum is %#x, that of the list received is %#x", what, sum, s.value)
	}
	return nil
}
