package web

import (
	"slices"
	"sync"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

const (
	// lookInterval is how often the counters of the server are looked at,
	// besides at each request and each new list: to be woken more often costs a
	// program more than all that its server does for a few peers.
	lookInterval = time.Second

	// mostChanges is how many of the last changes are kept.
	mostChanges = 50
)

// board keeps what a server has told, and when it changed. The methods may be
// called concurrently.
type board struct {
	server  source
	started time.Time
	ended   chan struct{} // closed when the server has ended

	mu      sync.Mutex // guards the fields below
	accepts acceptHealth
	now     *snapshot
	news    chan struct{} // closed when now is another, and then replaced
	changes []change      // the newest last; what is in it is never changed
	changed uint64        // how many changes there were
	history history
	doubt   gopherdiscovery.Stats // at the last look that saw a poll doubted
}

// snapshot is what a server has told at one time. It is never changed.
type snapshot struct {
	version        uint64 // of everything below
	stats          gopherdiscovery.Stats
	failing        bool // connections cannot be accepted
	list           []string
	silent         []string
	doubted        bool            // the last poll, so that silence does not count
	since          []time.Time     // when each name in the list has joined
	peers, targets func() document // made when first asked for
}

// change is a name that has joined or left.
type change struct {
	Key    uint64 // differs between any two
	Time   time.Time
	Joined bool
	Name   string
}

func newBoard(server source) *board {
	stats := server.Stats()
	b := &board{
		server:  server,
		started: time.Now(),
		ended:   make(chan struct{}),
		accepts: acceptHealth{errors: stats.AcceptErrors},
		doubt:   stats,
		now:     new(snapshot),
		news:    make(chan struct{}),
	}
	b.look()
	b.changes = nil // peers that are there already have not joined now
	return b
}

// run looks at each new list, until the server closes lists.
func (b *board) run(lists <-chan []string) {
	defer close(b.ended)
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		select {
		case _, open := <-lists:
			if !open {
				return
			}
		case <-ticker.C:
		}
		b.look()
	}
}

// look returns what the server tells now, and a channel that is closed at the
// next change of it.
func (b *board) look() (seen *snapshot, news <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	stats, list := b.readLocked()
	silent := b.server.Silent()
	now := time.Now()
	failing := b.accepts.check(stats.AcceptErrors, now)
	begins := b.history.note(stats.Services, now)
	doubted := b.checkDoubtLocked(stats)
	if list == nil && !begins && failing == b.now.failing && doubted == b.now.doubted &&
		!isNews(b.now.stats, stats) && slices.Equal(silent, b.now.silent) {
		return b.now, b.news
	}
	next := *b.now
	next.version++
	next.stats, next.failing, next.silent, next.doubted = stats, failing, silent, doubted
	if list != nil {
		b.recordLocked(b.now.list, list, now)
		next.list, next.since = list, b.now.sinceIn(list, now)
		next.peers = sync.OnceValue(func() document { return newDocument(list) })
		next.targets = sync.OnceValue(func() document { return newDocument(targets(list)) })
	}
	b.now = &next
	close(b.news)
	b.news = make(chan struct{})
	return b.now, b.news
}

// checkDoubtLocked returns true if the poll that has ended last is doubted. A
// poll is counted when it begins, and a doubt when it ends. So the second poll
// after a doubt shows that the first one has ended without.
func (b *board) checkDoubtLocked(stats gopherdiscovery.Stats) bool {
	if stats.Doubted != b.doubt.Doubted {
		b.doubt = stats
		return true
	}
	return b.now.doubted && stats.Polls < b.doubt.Polls+2
}

// readLocked returns what the server tells. The list is nil if the board has it
// already. The Stats tell whether it is complete.
func (b *board) readLocked() (stats gopherdiscovery.Stats, list []string) {
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

// sinceIn returns when each name in the next list has joined, which is now
// unless it is in the list of the snapshot. Lists are sorted.
func (s *snapshot) sinceIn(next []string, now time.Time) []time.Time {
	since := make([]time.Time, len(next))
	for i, name := range next {
		since[i] = now
		if at, found := slices.BinarySearch(s.list, name); found {
			since[i] = s.since[at]
		}
	}
	return since
}

// recordLocked notes who has joined and left.
func (b *board) recordLocked(before, after []string, now time.Time) {
	joined, left := gopherdiscovery.Diff(before, after)
	for _, name := range left {
		b.changed++
		b.changes = append(b.changes, change{b.changed, now, false, name})
	}
	for _, name := range joined {
		b.changed++
		b.changes = append(b.changes, change{b.changed, now, true, name})
	}
	// A copy, so that the array does not grow with what is dropped.
	b.changes = slices.Clone(b.changes[max(0, len(b.changes)-mostChanges):])
}
