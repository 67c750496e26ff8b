package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"

	"github.com/hashicorp/memberlist"

	"github.com/dahernan/gopherdiscovery/bench/internal/measure"
)

// members is a cluster of memberlist, with its configuration for a LAN. With
// the one for loopback each message is sent so few times that some members miss
// it, until the next full exchange 15 seconds later.
type members struct {
	all      []*memberlist.Memberlist
	views    []*view
	newcomer *memberlist.Memberlist
}

func (m *members) Start(names []string, watch *measure.Watch) error {
	m.views = newViews(len(names), watch)
	for i, name := range names {
		member, err := create(name, events{m.views[i]})
		if err != nil {
			return err
		}
		m.all = append(m.all, member)
	}
	var joins sync.WaitGroup
	for i, member := range m.all[1:] {
		joins.Go(func() {
			if err := m.join(member); err != nil {
				watch.Fail(fmt.Errorf("member %s: %w", names[i+1], err))
			}
		})
	}
	joins.Wait()
	return nil
}

func create(name string, delegate memberlist.EventDelegate) (*memberlist.Memberlist, error) {
	cfg := memberlist.DefaultLANConfig()
	cfg.Name, cfg.BindAddr, cfg.BindPort = name, "127.0.0.1", 0
	cfg.AdvertisePort = 0 // as bound
	cfg.Events, cfg.LogOutput = delegate, io.Discard
	return memberlist.Create(cfg)
}

// join makes a member join the others. All of them know the first member.
func (m *members) join(member *memberlist.Memberlist) error {
	first := m.all[0].LocalNode()
	_, err := member.Join([]string{net.JoinHostPort(first.Addr.String(), strconv.Itoa(int(first.Port)))})
	return err
}

// events passes memberlist's events to a view.
type events struct{ view *view }

func (e events) NotifyJoin(node *memberlist.Node)  { e.view.join(node.Name) }
func (e events) NotifyLeave(node *memberlist.Node) { e.view.leave(node.Name) }
func (e events) NotifyUpdate(*memberlist.Node)     {}

func (m *members) Check(names []string) error { return checkViews(m.views, names) }

func (m *members) Join(name string) error {
	var err error
	if m.newcomer, err = create(name, nil); err != nil {
		return err
	}
	return m.join(m.newcomer)
}

func (m *members) Leave() error {
	return errors.Join(m.newcomer.Leave(measure.Timeout), m.newcomer.Shutdown())
}

func (m *members) Close() error {
	failed := make([]error, len(m.all))
	var ends sync.WaitGroup
	for i, member := range m.all {
		ends.Go(func() { failed[i] = member.Shutdown() })
	}
	ends.Wait()
	return errors.Join(failed...)
}
