package main

import (
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/dahernan/gopherdiscovery/bench/internal/measure"
)

// Light is the process of the light peers. They speak the protocol but keep no
// list, so that only the server is measured. Its methods must not be called
// concurrently.
type Light struct {
	form          Form
	survey        string // address of the server
	names         []string
	watch         *measure.Watch
	respondents   []*respondent
	subscriptions []*subscription
}

// LightPeers says which peers to connect.
type LightPeers struct {
	Survey, PubSub string // addresses of the server
	N              int
	Plain          bool // subscribe in plain lists, whatever the server knows
}

// Connect connects peers, waits until each of them has the full list, and
// stores the form of their subscriptions in f.
func (l *Light) Connect(peers LightPeers, f *Form) error {
	l.survey, l.names, l.watch = peers.Survey, measure.Names(peers.N), measure.NewWatch(peers.N)
	l.respondents, l.subscriptions = make([]*respondent, peers.N), make([]*subscription, peers.N)
	var err error
	if l.form, err = chooseForm(peers); err != nil {
		return err
	}
	*f = l.form
	all := l.watch.Expect(l.form.value(l.names...))
	if err := each(peers.N, l.announce); err != nil {
		return err
	}
	if err := each(peers.N, func(i int) error { return l.subscribe(i, peers.PubSub) }); err != nil {
		return err
	}
	_, err = all.Wait(measure.Timeout)
	return err
}

// chooseForm asks the server whether it knows subscriptions in changes.
func chooseForm(peers LightPeers) (Form, error) {
	if peers.Plain {
		return inLists, nil
	}
	s, err := subscribe(peers.PubSub, inChanges, func(uint64) {})
	if err != nil {
		return "", err
	}
	defer s.Close()
	if err := s.welcome(); errors.Is(err, errRefused) {
		return inLists, nil
	} else if err != nil {
		return "", err
	}
	return inChanges, nil
}

func (l *Light) announce(i int) error {
	r, err := announce(l.survey, l.names[i])
	if err != nil {
		return err
	}
	l.respondents[i] = r
	go l.keep("respondent", r.run)
	return nil
}

func (l *Light) subscribe(i int, addr string) error {
	watch := l.watch
	s, err := subscribe(addr, l.form, func(value uint64) { watch.See(i, value) })
	if err != nil {
		return err
	}
	l.subscriptions[i] = s
	if err := s.welcome(); err != nil {
		return fmt.Errorf("subscription: %w", err)
	}
	go l.keep("subscription", s.run)
	return nil
}

// keep runs a connection, which must not end before it is closed here.
func (l *Light) keep(what string, run func() error) {
	watch := l.watch
	if err := run(); !errors.Is(err, net.ErrClosed) {
		watch.Fail(fmt.Errorf("%s: %w", what, err))
	}
}

// LightChanges are the times of the changes, and what they have cost the
// network.
type LightChanges struct {
	measure.Changes
	BytesPerChange float64 // per subscriber, SP's framing included
}

// Changes lets newcomers join and leave.
func (l *Light) Changes(rounds int, changes *LightChanges) error {
	with := func(name string) uint64 { return l.form.value(append(slices.Clone(l.names), name)...) }
	before := l.received()
	times, err := measure.Run(&newcomer{light: l}, l.watch, rounds, with, l.form.value(l.names...))
	if err != nil {
		return err
	}
	changes.Changes = times
	if n := len(times.Join) + len(times.Leave); n > 0 {
		changes.BytesPerChange = float64(l.received()-before) / float64(n) / float64(len(l.names))
	}
	return nil
}

// received returns the number of bytes in the messages that changed the list,
// for all subscribers.
func (l *Light) received() int64 {
	var n int64
	for _, s := range l.subscriptions {
		n += s.bytes.Load()
	}
	return n
}

// newcomer lets newcomers join the light peers.
type newcomer struct {
	light      *Light
	respondent *respondent
}

func (n *newcomer) Join(name string) error {
	var err error
	if n.respondent, err = announce(n.light.survey, name); err != nil {
		return err
	}
	go n.light.keep("newcomer", n.respondent.run)
	return nil
}

func (n *newcomer) Leave() error { return n.respondent.Close() }

// Disconnect closes all connections.
func (l *Light) Disconnect(struct{}, *struct{}) error {
	var err error
	for _, r := range l.respondents {
		err = errors.Join(err, r.Close())
	}
	for _, s := range l.subscriptions {
		err = errors.Join(err, s.Close())
	}
	return err
}
