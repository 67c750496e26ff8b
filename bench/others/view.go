package main

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/dahernan/gopherdiscovery/bench/internal/measure"
)

// view is the list that one peer has.
type view struct {
	i     int // of the peer
	watch *measure.Watch

	mu    sync.Mutex // guards names
	names map[string]bool
}

func newViews(n int, watch *measure.Watch) []*view {
	views := make([]*view, n)
	for i := range views {
		views[i] = &view{i: i, watch: watch, names: make(map[string]bool)}
	}
	return views
}

func (v *view) join(name string) { v.set(name, true) }

func (v *view) leave(name string) { v.set(name, false) }

func (v *view) set(name string, there bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if there {
		v.names[name] = true
	} else {
		delete(v.names, name)
	}
	v.watch.See(v.i, uint64(len(v.names)))
}

// checkViews returns an error unless each view consists of exactly these names.
func checkViews(views []*view, names []string) error {
	want := slices.Sorted(slices.Values(names))
	for _, v := range views {
		v.mu.Lock()
		got := slices.Sorted(maps.Keys(v.names))
		v.mu.Unlock()
		if err := measure.CheckList(got, want); err != nil {
			return fmt.Errorf("peer %d: %w", v.i, err)
		}
	}
	return nil
}
