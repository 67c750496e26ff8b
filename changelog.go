package gopherdiscovery

import (
	"maps"
	"slices"
	"time"
)

// changelog holds the list that a server publishes and its recent changes. It
// decides what each subscriber is sent next. It has no socket, no clock and no
// goroutine.
type changelog struct {
	list     []string
	sum      uint64
	size     int  // of the encoded list, in bytes
	complete bool // the server has surveyed everyone since it started
	position int  // the number of changes so far

	recent []change // the newest changes, oldest first
	bytes  int      // the encoded size of recent

	// Encoded messages about the current list, which subscribers share.
	whole     []byte       // LIST; nil until it is needed
	digest    []byte       // DIGEST; nil until it is needed
	steps     map[int]step // from a position to the current list
	stepBytes int
}

// step is a message that brings a subscriber to the current list.
type step struct {
	message []byte
	changed bool // the list differs from the subscriber's
}

// change is one step of the list.
type change struct {
	before         uint64 // the sum of the list before it
	removed, added []string
	bytes          int // its encoded size
}

// nowhere is the position of a subscriber that holds no list in the log.
const nowhere = -1

// cursor records what a subscriber has been sent.
type cursor struct {
	plain    bool // it is sent whole lists and nothing else
	position int
	have     *uint64   // sum of the list it came with; nil once answered
	sum      uint64    // of the list that it has
	holds    bool      // it keeps its list until the server's is complete
	complete bool      // it was told that the list is complete
	beat     bool      // it must be sent something, if only a beat
	skipped  int       // beats withheld while its list is unchecked
	resumed  time.Time // when its list was recognized by the sum; zero once verified
	verify   bool      // it must be sent the digest of the list
	lastSent time.Time // when it was sent something, or a beat was due
}

// newCursor returns the cursor of a subscriber that has the list with the sum
// have, or no list if have is nil. A plain subscriber never says what it has.
func newCursor(plain bool, have *uint64, now time.Time) cursor {
	c := cursor{plain: plain, position: nowhere, have: have, holds: plain || have != nil, lastSent: now}
	if have != nil {
		c.sum = *have
	}
	return c
}

// publish sets the current list and reports whether anything has changed.
func (l *changelog) publish(list []string, complete bool) bool {
	removed, added := compare(l.list, list)
	changed := len(removed)+len(added) > 0
	if !changed && complete == l.complete {
		return false
	}
	l.complete = complete
	l.whole, l.digest, l.steps = nil, nil, nil
	if changed {
		c := change{before: l.sum, removed: removed, added: added, bytes: wireSize(removed) + wireSize(added)}
		l.list = list
		l.sum += sumOf(added) - sumOf(removed)
		l.size += wireSize(added) - wireSize(removed)
		l.position++
		l.record(c)
	}
	return true
}

// record adds a change, and removes the oldest ones to make room for it.
func (l *changelog) record(c change) {
	l.recent = append(l.recent, c)
	l.bytes += c.bytes
	forget := 0
	for ; len(l.recent)-forget > maxChanges || l.bytes > l.size; forget++ {
		l.bytes -= l.recent[forget].bytes
	}
	l.recent = slices.Delete(l.recent, 0, forget)
}

// next returns the message that a subscriber must be sent now, or nil, and
// counts it as sent. The message is shared and must not be changed.
func (l *changelog) next(c *cursor, now time.Time) []byte {
	if c.holds && !l.complete {
		return c.beatIfDue(now)
	}
	if c.have != nil {
		c.position, c.have = l.find(*c.have), nil
		if c.position != nowhere {
			c.resumed = now
		}
	}
	if c.position == nowhere && !l.complete && len(l.list) == 0 {
		return nil
	}
	s := l.since(c.position)
	due := s.changed || !c.plain && (c.complete != l.complete || c.beat)
	c.position, c.sum, c.complete, c.beat = l.position, l.sum, l.complete, false
	c.holds = c.holds || l.complete
	if !due {
		return l.digestIfDue(c)
	}
	c.lastSent = now
	if c.plain {
		return l.encodedList()[2:]
	}
	return s.message
}

// beatIfDue returns a beat with the sum of the subscriber's own list if one is
// due, and otherwise nil.
func (c *cursor) beatIfDue(now time.Time) []byte {
	if c.plain || !c.beat {
		return nil
	}
	c.complete, c.beat, c.lastSent = false, false, now
	return (&update{kind: kindBeat, sum: c.sum}).encode()
}

// digestIfDue returns the digest of the current list, which the subscriber has,
// if it must verify that. Otherwise it returns nil.
func (l *changelog) digestIfDue(c *cursor) []byte {
	if !c.verify {
		return nil
	}
	c.verify, c.resumed = false, time.Time{}
	if l.digest == nil {
		l.digest = (&update{kind: kindDigest, ignored: digestOf(l.encodedList()[2:])}).encode()
	}
	return l.digest
}

// find returns the position of the list with the sum, or nowhere.
func (l *changelog) find(sum uint64) int {
	if sum == l.sum {
		return l.position
	}
	for i, c := range slices.Backward(l.recent) {
		if c.before == sum {
			return l.oldest() + i
		}
	}
	return nowhere
}

// oldest returns the first position from which the changes are known.
func (l *changelog) oldest() int { return l.position - len(l.recent) }

// since returns the step from a position to the current list.
func (l *changelog) since(position int) step {
	if s, ok := l.steps[position]; ok {
		return s
	}
	s := step{message: l.encodedList(), changed: true}
	if position < l.oldest() {
		return s
	}
	u := l.difference(position)
	s.changed = u.kind == kindChange
	bytes := 0 // the size of the message, unless it is the shared list
	if message := u.encode(); !s.changed || len(message) < len(s.message) {
		s.message, bytes = message, len(message)
	}
	if l.stepBytes += bytes; l.steps == nil || l.stepBytes > len(l.encodedList()) {
		l.steps, l.stepBytes = make(map[int]step), bytes
	}
	l.steps[position] = s
	return s
}

// difference returns the change since a position, or a beat if there is none.
func (l *changelog) difference(position int) *update {
	u := &update{kind: kindBeat, complete: l.complete, sum: l.sum}
	changes := l.recent[position-l.oldest():]
	if len(changes) == 0 {
		return u
	}
	u.before = changes[0].before
	u.removed, u.added = combine(changes)
	if len(u.removed)+len(u.added) > 0 {
		u.kind = kindChange
	}
	return u
}

// combine returns the net effect of several changes.
func combine(changes []change) (removed, added []string) {
	if len(changes) == 1 {
		return changes[0].removed, changes[0].added
	}
	gone, come := make(map[string]struct{}), make(map[string]struct{})
	apply := func(names []string, from, to map[string]struct{}) {
		for _, name := range names {
			if _, back := from[name]; back {
				delete(from, name)
			} else {
				to[name] = struct{}{}
			}
		}
	}
	for _, c := range changes {
		apply(c.removed, come, gone)
		apply(c.added, gone, come)
	}
	return slices.Sorted(maps.Keys(gone)), slices.Sorted(maps.Keys(come))
}

// encodedList returns the current list as LIST. After the first two bytes it is
// the list in the plain form.
func (l *changelog) encodedList() []byte {
	if l.whole == nil {
		l.whole = (&update{kind: kindList, complete: l.complete, names: l.list}).encode()
	}
	return l.whole
}

// unverified reports whether the subscriber's list was recognized by its sum a
// beat ago. If so, next will send the digest after everything else. Many
// subscribers may return at once, so their answers come first.
func (c *cursor) unverified(now time.Time, beat time.Duration) bool {
	c.verify = c.verify || !c.resumed.IsZero() && now.Sub(c.resumed) >= beat
	return c.verify
}

// quiet reports whether the subscriber has been sent nothing for about a beat.
// If so, next will send a beat if there is nothing else. A subscriber whose
// list has not been checked yet is sent none for uncheckedBeats beats.
func (c *cursor) quiet(now time.Time, beat time.Duration) bool {
	if now.Before(c.nextBeat(beat).Add(-beat / beatSlack)) {
		return false
	}
	c.lastSent = now
	if c.have != nil && c.skipped < uncheckedBeats {
		c.skipped++
		return false
	}
	c.beat = true
	return true
}

// nextBeat returns when the next beat is due.
func (c *cursor) nextBeat(beat time.Duration) time.Time { return c.lastSent.Add(beat) }
