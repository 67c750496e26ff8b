package interop_test

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nanomsg.org/go-mangos"
	"nanomsg.org/go-mangos/protocol/pub"
	"nanomsg.org/go-mangos/protocol/respondent"
	"nanomsg.org/go-mangos/protocol/sub"
	"nanomsg.org/go-mangos/protocol/surveyor"
	"nanomsg.org/go-mangos/transport/ipc"
	"nanomsg.org/go-mangos/transport/tcp"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// The types below behave like those of the same names in the library of 2015.
// In particular, they neither sort a list nor repeat it, and read an empty one
// as a single empty name.

// Sockets of mangos v1 have no transport until one is added.
var oldTransports = []mangos.Transport{tcp.NewTransport(), ipc.NewTransport()}

func oldSocket(newSocket func() (mangos.Socket, error)) (mangos.Socket, error) {
	sock, err := newSocket()
	if err != nil {
		return nil, err
	}
	for _, transport := range oldTransports {
		sock.AddTransport(transport)
	}
	return sock, nil
}

// oldClient answers surveys with the name of its service.
type oldClient struct {
	sock mangos.Socket
	done chan struct{}
}

func dialOldClient(survey, service string) (*oldClient, error) {
	sock, err := oldSocket(respondent.NewSocket)
	if err != nil {
		return nil, err
	}
	for _, transport := range oldTransports {
		sock.AddTransport(tactfulTransport{transport})
	}
	if err := sock.Dial(survey); err != nil {
		sock.Close()
		return nil, err
	}
	c := &oldClient{sock: sock, done: make(chan struct{})}
	go c.run(service)
	return c, nil
}

func (c *oldClient) run(service string) {
	defer close(c.done)
	for {
		if _, err := c.sock.Recv(); err != nil {
			return
		}
		if err := c.sock.Send([]byte(service)); err != nil {
			return
		}
	}
}

func (c *oldClient) Close() {
	c.sock.Close()
	<-c.done
}

// oldSubscriber receives lists.
type oldSubscriber struct {
	sock    mangos.Socket
	changes chan []string
	closing chan struct{}
	done    chan struct{}
}

func dialOldSubscriber(pubsub string) (*oldSubscriber, error) {
	sock, err := oldSocket(sub.NewSocket)
	if err != nil {
		return nil, err
	}
	if err = sock.SetOption(mangos.OptionSubscribe, ""); err == nil {
		err = sock.Dial(pubsub)
	}
	if err != nil {
		sock.Close()
		return nil, err
	}
	s := &oldSubscriber{
		sock:    sock,
		changes: make(chan []string),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
	}
	go s.run()
	return s, nil
}

func (s *oldSubscriber) run() {
	defer close(s.done)
	for {
		list, err := s.sock.Recv()
		if err != nil {
			return
		}
		select {
		case s.changes <- strings.Split(string(list), "|"):
		case <-s.closing:
			return
		}
	}
}

// Close must be called only once.
func (s *oldSubscriber) Close() {
	close(s.closing)
	s.sock.Close()
	<-s.done
}

// oldServer surveys, and publishes the list when it differs from the last one.
type oldServer struct {
	surveyor, publisher mangos.Socket
	survey, pubsub      string // the URLs as bound
	subscribers         atomic.Int64
	done                chan struct{}
}

func listenOld(survey, pubsub string, opt gopherdiscovery.Options) (_ *oldServer, err error) {
	s := &oldServer{done: make(chan struct{})}
	if s.surveyor, err = oldSocket(surveyor.NewSocket); err != nil {
		return nil, err
	}
	if s.publisher, err = oldSocket(pub.NewSocket); err != nil {
		s.surveyor.Close()
		return nil, err
	}
	defer func() {
		if err != nil {
			s.surveyor.Close()
			s.publisher.Close()
		}
	}()
	if err = s.surveyor.SetOption(mangos.OptionSurveyTime, opt.SurveyTime); err != nil {
		return nil, err
	}
	if err = s.surveyor.SetOption(mangos.OptionRecvDeadline, opt.RecvDeadline); err != nil {
		return nil, err
	}
	s.publisher.SetPortHook(s.countSubscribers)
	if s.survey, err = listenOn(s.surveyor, survey); err != nil {
		return nil, err
	}
	if s.pubsub, err = listenOn(s.publisher, pubsub); err != nil {
		return nil, err
	}
	go s.run(opt.PollTime)
	return s, nil
}

// listenOn returns the bound URL.
func listenOn(sock mangos.Socket, url string) (string, error) {
	l, err := sock.NewListener(url, nil)
	if err == nil {
		err = l.Listen()
	}
	if err != nil {
		return "", err
	}
	return l.Address(), nil
}

func (s *oldServer) countSubscribers(action mangos.PortAction, _ mangos.Port) bool {
	if action == mangos.PortActionAdd {
		s.subscribers.Add(1)
	} else {
		s.subscribers.Add(-1)
	}
	return true
}

func (s *oldServer) run(pollTime time.Duration) {
	defer close(s.done)
	published := make(map[string]bool)
	for s.surveyor.Send(nil) == nil {
		names, err := s.takeAnswers()
		if err == mangos.ErrClosed {
			return
		}
		if !maps.Equal(names, published) {
			list := strings.Join(slices.Collect(maps.Keys(names)), "|")
			if err := s.publisher.Send([]byte(list)); err != nil {
				return
			}
			published = names
		}
		time.Sleep(pollTime)
	}
}

// takeAnswers returns the names heard before the error that ends a survey.
func (s *oldServer) takeAnswers() (map[string]bool, error) {
	names := make(map[string]bool)
	for {
		name, err := s.surveyor.Recv()
		if err != nil {
			return names, err
		}
		names[string(name)] = true
	}
}

// Close lets the loop end first, so that it does not publish the result of a
// survey that was cut short.
func (s *oldServer) Close() {
	s.surveyor.Close()
	<-s.done
	s.publisher.Close()
}

// awaitSubscribers returns when the next list will reach n subscribers. mangos
// v1 counts a connection just before it hands it to the publisher (core.go,
// addPipe), and accepts no other connection in between. So when one more is
// counted, the publisher has all those before it.
func (s *oldServer) awaitSubscribers(t *testing.T, n int64) {
	t.Helper()
	counted := func(n int64) func() bool {
		return func() bool { return s.subscribers.Load() == n }
	}
	testmain.Await(t, "the subscribers are connected", counted(n))
	probe, err := dialOldSubscriber(s.pubsub)
	if err != nil {
		t.Fatal(err)
	}
	testmain.Await(t, "one more subscriber is connected", counted(n+1))
	probe.Close()
	testmain.Await(t, "it is gone", counted(n))
}
