package web

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

const (
	// lookInterval is how often the counters of the server are looked at. A
	// list is news at once.
	lookInterval = 500 * time.Millisecond

	// mostChanges is how many of the last changes are kept.
	mostChanges = 50
)

// board keeps what a server has told, and when it changed. The methods may be
// called concurrently.
type board struct {
	server  Server
	started time.Time

	mu      sync.Mutex // guards the fields below
	now     *snapshot
	news    chan struct{}        // closed when now is another, and then replaced
	since   map[string]time.Time // of each name in the list
	changes []change             // the newest last
}

// snapshot is what a server has told at one time. It is never changed.
type snapshot struct {
	version        uint64 // of everything below
	stats          gopherdiscovery.Stats
	list           []string
	peers, targets func() document // made when first asked for
}

// change is a name that has joined or left.
type change struct {
	Time   time.Time
	Joined bool
	Name   string
}

func newBoard(server Server) *board {
	b := &board{
		server:  server,
		started: time.Now(),
		now:     new(snapshot),
		news:    make(chan struct{}),
		since:   make(map[string]time.Time),
	}
	b.look()
	return b
}

// run looks until ctx ends.
func (b *board) run(ctx context.Context) {
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	lists := b.server.Changes()
	for {
		select {
		case _, open := <-lists:
			if !open {
				lists = nil
			}
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		b.look()
	}
}

// look returns what the server tells now, and a channel that is closed at the
// next change of it.
func (b *board) look() (now *snapshot, news <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	stats, list := b.read()
	if list == nil && !isNews(b.now.stats, stats) {
		return b.now, b.news
	}
	next := *b.now
	next.version++
	next.stats = stats
	if list != nil {
		b.record(b.now.list, list)
		next.list = list
		next.peers = sync.OnceValue(func() document { return newDocument(list) })
		next.targets = sync.OnceValue(func() document { return newDocument(targets(list)) })
	}
	b.now = &next
	close(b.news)
	b.news = make(chan struct{})
	return b.now, b.news
}

// read returns what the server tells. The list is nil if it is the one that the
// board has. It is the one of which the Stats tell whether it is complete.
func (b *board) read() (stats gopherdiscovery.Stats, list []string) {
	stats = b.server.Stats()
	for b.now.version == 0 || stats.Lists != b.now.stats.Lists {
		list = b.server.Services()
		before := stats
		if stats = b.server.Stats(); stats.Lists == before.Lists && stats.Complete == before.Complete {
			break
		}
	}
	return stats, list
}

// isNews reports whether the counters that are shown have changed. The others
// do so with each poll.
func isNews(a, b gopherdiscovery.Stats) bool {
	return a.Lists != b.Lists || a.Complete != b.Complete || a.Clients != b.Clients || a.Subscribers != b.Subscribers
}

// record is called with the lock held.
func (b *board) record(before, after []string) {
	now := time.Now()
	joined, left := gopherdiscovery.Diff(before, after)
	for _, name := range left {
		delete(b.since, name)
		b.changes = append(b.changes, change{now, false, name})
	}
	for _, name := range joined {
		b.since[name] = now
		b.changes = append(b.changes, change{now, true, name})
	}
	// A copy, so that the array does not grow with what is dropped.
	b.changes = slices.Clone(b.changes[max(0, len(b.changes)-mostChanges):])
}
