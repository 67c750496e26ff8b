package web

import (
	"fmt"
	"testing"

	"github.com/dahernan/gopherdiscovery"
)

// passers are a server whose list has other names at each look.
type passers struct{ lists uint64 }

func (p *passers) Services() []string { return []string{fmt.Sprint("name ", p.lists)} }

func (p *passers) Silent() []string { return nil }

func (p *passers) Stats() gopherdiscovery.Stats { return gopherdiscovery.Stats{Lists: p.lists} }

func (p *passers) URLs() (server, pubsub string) { return "", "" }

// Names that have gone leave nothing behind but the last changes.
func TestBoardForgets(t *testing.T) {
	t.Parallel()
	p := new(passers)
	b := newBoard(p)
	for p.lists = range 1000 {
		b.look()
	}
	if len(b.now.since) != 1 || len(b.changes) != mostChanges || cap(b.changes) > 2*mostChanges {
		t.Errorf("%d names and %d changes, room for %d, want 1 and %d", len(b.now.since), len(b.changes), cap(b.changes), mostChanges)
	}
}
