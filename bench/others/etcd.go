package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/dahernan/gopherdiscovery/bench/internal/measure"
)

// prefix is the beginning of each key. A name follows it.
const prefix = "peers/"

// leaseSeconds is how long a peer that hangs keeps its key. A peer that ends
// gives it back.
const leaseSeconds = 10

// etcd is an embedded etcd, and peers with a client each. A peer has a key with
// a lease that is kept alive, and a watch on all keys.
type etcd struct {
	dir      string
	server   *embed.Etcd
	ctx      context.Context // of all clients
	cancel   context.CancelFunc
	work     sync.WaitGroup
	peers    []*clientv3.Client // nil for those that failed to start
	views    []*view
	newcomer *clientv3.Client
	lease    clientv3.LeaseID // of the newcomer
}

func (e *etcd) Start(names []string, watch *measure.Watch) error {
	e.ctx, e.cancel = context.WithCancel(context.Background())
	if err := e.startServer(); err != nil {
		return err
	}
	e.peers, e.views = make([]*clientv3.Client, len(names)), newViews(len(names), watch)
	for i, name := range names {
		e.work.Go(func() {
			if err := e.startPeer(i, name); err != nil {
				watch.Fail(fmt.Errorf("peer %s: %w", name, err))
			}
		})
	}
	return nil
}

func (e *etcd) startServer() error {
	var err error
	if e.dir, err = os.MkdirTemp("", "etcd"); err != nil {
		return err
	}
	anyPort := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel = e.dir, "fatal" // it logs its own end as an error
	cfg.ListenPeerUrls, cfg.ListenClientUrls = anyPort, anyPort
	cfg.AdvertisePeerUrls, cfg.AdvertiseClientUrls = anyPort, anyPort
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	if e.server, err = embed.StartEtcd(cfg); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(e.ctx, measure.Timeout)
	defer cancel()
	select {
	case <-e.server.Server.ReadyNotify():
		return nil
	case err := <-e.server.Err():
		return err
	case <-ctx.Done():
		return errors.New("etcd is not ready")
	}
}

// connect returns a client that has announced a name.
func (e *etcd) connect(name string) (_ *clientv3.Client, lease clientv3.LeaseID, err error) {
	client, err := clientv3.New(clientv3.Config{
		Context:   e.ctx,
		Endpoints: []string{e.server.Clients[0].Addr().String()},
		Logger:    zap.NewNop(),
	})
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if err != nil {
			client.Close()
		}
	}()
	ctx, cancel := context.WithTimeout(e.ctx, measure.Timeout)
	defer cancel()
	var granted *clientv3.LeaseGrantResponse
	if err := retry(ctx, func() (err error) {
		granted, err = client.Grant(ctx, leaseSeconds)
		return err
	}); err != nil {
		return nil, 0, err
	}
	kept, err := client.KeepAlive(e.ctx, granted.ID)
	if err != nil {
		return nil, 0, err
	}
	e.work.Go(func() {
		for range kept { // until the client or the lease ends
		}
	})
	err = retry(ctx, func() error {
		_, err := client.Put(ctx, prefix+name, "", clientv3.WithLease(granted.ID))
		return err
	})
	return client, granted.ID, err
}

// retry repeats a request until it succeeds or ctx ends, because etcd gives up
// requests when there are many.
func retry(ctx context.Context, request func() error) error {
	for {
		err := request()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (e *etcd) startPeer(i int, name string) error {
	client, _, err := e.connect(name)
	if err != nil {
		return err
	}
	e.peers[i] = client
	ctx, cancel := context.WithTimeout(e.ctx, measure.Timeout)
	defer cancel()
	var keys *clientv3.GetResponse
	if err := retry(ctx, func() (err error) {
		keys, err = client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
		return err
	}); err != nil {
		return err
	}
	v := e.views[i]
	for _, pair := range keys.Kvs {
		v.join(nameOf(pair.Key))
	}
	changes := client.Watch(e.ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(keys.Header.Revision+1))
	e.work.Go(func() {
		for response := range changes {
			if err := response.Err(); err != nil && e.ctx.Err() == nil {
				v.watch.Fail(fmt.Errorf("watch: %w", err))
			}
			for _, event := range response.Events {
				v.set(nameOf(event.Kv.Key), event.Type == clientv3.EventTypePut)
			}
		}
	})
	return nil
}

func nameOf(key []byte) string { return strings.TrimPrefix(string(key), prefix) }

func (e *etcd) Check(names []string) error { return checkViews(e.views, names) }

func (e *etcd) Join(name string) error {
	var err error
	e.newcomer, e.lease, err = e.connect(name)
	return err
}

func (e *etcd) Leave() error {
	ctx, cancel := context.WithTimeout(e.ctx, measure.Timeout)
	defer cancel()
	_, err := e.newcomer.Revoke(ctx, e.lease)
	return errors.Join(err, e.newcomer.Close())
}

func (e *etcd) Close() error {
	e.cancel()
	e.work.Wait()
	for _, client := range e.peers {
		if client != nil {
			client.Close() // reports that ctx has ended
		}
	}
	if e.server != nil {
		e.server.Close()
	}
	return os.RemoveAll(e.dir)
}
