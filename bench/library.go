package main

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/bench/internal/measure"
)

// library is a server and peers of this library.
type library struct {
	pollTime time.Duration
	server   *gopherdiscovery.DiscoveryServer
	peers    []*gopherdiscovery.DiscoveryClient
	lists    []atomic.Pointer[[]string] // by peer, received last
	readers  sync.WaitGroup
	newcomer *gopherdiscovery.DiscoveryClient
}

func (l *library) Start(names []string, watch *measure.Watch) error {
	var err error
	if l.server, err = startServer(ServerOptions{l.pollTime, len(names)}); err != nil {
		return err
	}
	survey, pubsub := l.server.URLs()
	l.lists = make([]atomic.Pointer[[]string], len(names))
	for i, name := range names {
		peer, err := gopherdiscovery.ClientWithSub(survey, pubsub, name)
		if err != nil {
			return err
		}
		l.peers = append(l.peers, peer)
		lists, err := peer.Peers()
		if err != nil {
			return err
		}
		l.readers.Go(func() {
			for list := range lists {
				l.lists[i].Store(&list)
				watch.See(i, uint64(len(list)))
			}
		})
	}
	return nil
}

func (l *library) Check(names []string) error {
	want := slices.Sorted(slices.Values(names))
	for i := range l.lists {
		if err := measure.CheckList(*l.lists[i].Load(), want); err != nil {
			return fmt.Errorf("peer %d: %w", i, err)
		}
	}
	return (&Server{server: l.server}).Complete(struct{}{}, nil)
}

func (l *library) Join(name string) error {
	survey, _ := l.server.URLs()
	var err error
	l.newcomer, err = gopherdiscovery.Client(survey, name)
	return err
}

func (l *library) Leave() error { return l.newcomer.Close() }

func (l *library) Close() error {
	var err error
	for _, peer := range l.peers {
		peer.Cancel()
	}
	for _, peer := range l.peers {
		err = errors.Join(err, peer.Close())
	}
	l.readers.Wait()
	if l.server != nil {
		err = errors.Join(err, l.server.Close())
	}
	return err
}
