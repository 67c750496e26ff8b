package gopherdiscovery

import (
	"slices"
	"sync"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/sp"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
)

func TestArrivalsKeepOrder(t *testing.T) {
	a := arrivals[string]{bell: sp.NewBell()}
	if a.drain() != nil || a.len() != 0 || sptest.Rang(a.bell) {
		t.Errorf("before the first: got count %d and events or a bell", a.len())
	}
	a.began("one")
	if !sptest.Rang(a.bell) || a.len() != 1 {
		t.Errorf("after one began: got count %d, want 1 and the bell", a.len())
	}
	a.began("two")
	a.ended("one")
	if !sptest.Rang(a.bell) || a.len() != 1 {
		t.Errorf("after the end of one of two: got count %d, want 1 and the bell", a.len())
	}
	want := []sessionEvent[string]{{"one", false}, {"two", false}, {"one", true}}
	if got := a.drain(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := a.drain(); got != nil {
		t.Errorf("got %v a second time", got)
	}
	a.ended("two")
	if got, want := a.drain(), []sessionEvent[string]{{"two", true}}; !slices.Equal(got, want) || a.len() != 0 {
		t.Errorf("got %v and count %d, want %v and 0", got, a.len(), want)
	}
}

func TestArrivalsMayComeConcurrently(t *testing.T) {
	a := arrivals[int]{bell: sp.NewBell()}
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			a.began(i)
			a.ended(i)
			a.began(i)
		})
	}
	all.Wait()
	if events := a.drain(); len(events) != 150 || a.len() != 50 {
		t.Errorf("got %d events and count %d, want 150 and 50", len(events), a.len())
	}
}
