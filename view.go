package gopherdiscovery

import (
	"bytes"
	"slices"
	"time"
)

// view is what a subscriber knows from its servers: the newest list of each that is connected, by a connection of type C, and
// how often it speaks. Like the server's roster it has no socket, no clock and no goroutine.
type view[C comparable] struct {
	words map[C]*word
}

// word is what one connection has brought.
type word struct {
	body     []byte        // the newest list as it came
	list     []string      // the same; nil before the first
	heard    time.Time     // when it came, or came again
	repeated time.Time     // when a list last came again; zero before
	interval time.Duration // between repetitions
	pauses   int           // that interval comes from
}

func newView[C comparable]() *view[C] { return &view[C]{words: make(map[C]*word)} }

func (v *view[C]) connect(c C) { v.words[c] = new(word) }

func (v *view[C]) disconnect(c C) { delete(v.words, c) }

// repeats tells whether a message says what the connection has said before, and if so notes that it is alive.
func (v *view[C]) repeats(c C, body []byte, now time.Time) bool {
	w := v.words[c]
	if w == nil || w.list == nil || !bytes.Equal(w.body, body) {
		return false
	}
	pause := now.Sub(w.repeated)
	// A pause that is too long is no pause but a halt, the subscriber's or the server's.
	if !w.repeated.IsZero() && (!w.regular() || pause <= missedRepeats*w.interval) {
		w.interval = nextInterval(w.interval, pause)
		w.pauses++
	}
	w.heard, w.repeated = now, now
	return true
}

// nextInterval follows a longer pause at once, and shorter ones the slower the shorter they are: after a halt of the
// subscriber, what has queued up comes without any.
func nextInterval(old, pause time.Duration) time.Duration {
	return max(pause, old-pause/4)
}

// hear takes a new list. From a connection that has ended it changes nothing.
func (v *view[C]) hear(c C, body []byte, list []string, now time.Time) {
	w := v.words[c]
	if w == nil {
		return
	}
	w.body, w.list, w.heard = slices.Clone(body), list, now
}

// union returns the names in any server's list. It returns nil while no server that is connected has sent a list: then
// nothing is known that is newer than before.
func (v *view[C]) union() []string {
	var all []string
	lists := 0
	for _, w := range v.words {
		if w.list == nil {
			continue
		}
		if lists++; lists == 1 {
			all = w.list[:len(w.list):len(w.list)] // mostly all servers agree, or there is one
		} else if !slices.Equal(all, w.list) {
			all = append(all, w.list...)
			slices.Sort(all)
			all = slices.Compact(all)
		}
	}
	return all
}

// deadline is when the next server is overdue; zero if none can be.
func (v *view[C]) deadline() time.Time {
	var first time.Time
	for _, w := range v.words {
		if due, ok := w.due(); ok && (first.IsZero() || due.Before(first)) {
			first = due
		}
	}
	return first
}

// due is when a server that repeats its list must have spoken. One that has not done so regularly sends changes only, as
// those of 2015 do, and may be silent for ever.
func (w *word) due() (due time.Time, ok bool) {
	return w.heard.Add(max(missedRepeats*w.interval, shortestPatience)), w.regular()
}

func (w *word) regular() bool { return w.pauses >= 2 }

// overdue returns the connections whose server repeats its list, but has been silent for too long.
func (v *view[C]) overdue(now time.Time) []C {
	var all []C
	for c, w := range v.words {
		if due, ok := w.due(); ok && !now.Before(due) {
			all = append(all, c)
		}
	}
	return all
}

// excuse forgives all servers a time in which the subscriber itself did not run.
func (v *view[C]) excuse(halt time.Duration) {
	for _, w := range v.words {
		w.heard = w.heard.Add(halt)
		if !w.repeated.IsZero() {
			w.repeated = w.repeated.Add(halt)
		}
	}
}
