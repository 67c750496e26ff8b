package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dahernan/gopherdiscovery/bench/internal/measure"
)

// Light is the process of the light peers. They speak the protocol but keep no
// list, so that only the server is measured. Its methods must not be called
// concurrently.
type Light struct {
	form    Form
	survey  string // address of the server
	names   []string
	watch   *measure.Watch
	started atomic.Bool // everyone has had the full list

	mu            sync.Mutex // guards the fields below
	respondents   []*respondent
	subscriptions []*subscription
}

// LightPeers says which peers to start.
type LightPeers struct {
	Survey, PubSub string // addresses of the server
	N              int
	Plain          bool // subscribe in plain lists, whatever the server knows
}

// LightStart is the result of a cold start.
type LightStart struct {
	Form Form
	Took time.Duration
}

// ColdStart starts all peers at once, as after a power cut, and measures how
// long it takes until each of them has the full list. Until then a peer whose
// connection fails or ends connects again, as those of the library do.
func (l *Light) ColdStart(peers LightPeers, start *LightStart) error {
	// Collecting garbage would scan the stacks of all peers again and again, in
	// the time that is measured. They make little.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	l.survey, l.names, l.watch = peers.Survey, measure.Names(peers.N), measure.NewWatch(peers.N)
	l.respondents, l.subscriptions = make([]*respondent, peers.N), make([]*subscription, peers.N)
	var err error
	if l.form, err = chooseForm(peers); err != nil {
		return err
	}
	start.Form = l.form
	all := l.watch.Expect(l.form.value(l.names...))
	for i := range peers.N {
		go l.persist("respondent", func() error { return l.announce(i) })
		go l.persist("subscription", func() error { return l.subscribe(i, peers.PubSub) })
	}
	start.Took, err = all.Wait(measure.Timeout)
	l.started.Store(true)
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

// announce lets peer i announce its name until the connection ends.
func (l *Light) announce(i int) error {
	r, err := announce(l.survey, l.names[i])
	if err != nil {
		return err
	}
	defer r.Close()
	l.mu.Lock()
	l.respondents[i] = r
	l.mu.Unlock()
	return r.run()
}

// subscribe lets peer i follow the list until the connection ends.
func (l *Light) subscribe(i int, addr string) error {
	s, err := subscribe(addr, l.form, func(value uint64) { l.watch.See(i, value) })
	if err != nil {
		return err
	}
	defer s.Close()
	l.mu.Lock()
	l.subscriptions[i] = s
	l.mu.Unlock()
	if err := s.welcome(); err != nil {
		return err
	}
	return s.run()
}

// persist connects, and connects again when the connection has ended. After the
// start it must not end before it is closed here.
func (l *Light) persist(what string, connect func() error) {
	for failures := 0; ; failures++ {
		err := connect()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if l.started.Load() {
			l.watch.Fail(fmt.Errorf("%s: %w", what, err))
			return
		}
		time.Sleep(redialDelay(failures, rand.Float64()))
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
	go func() {
		if err := n.respondent.run(); !errors.Is(err, net.ErrClosed) {
			n.light.watch.Fail(fmt.Errorf("newcomer: %w", err))
		}
	}()
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
