package wire

import (
	"maps"
	"slices"
	"time"
)

// Changelog holds the list that a server publishes and its recent changes. It
// decides what each subscriber is sent next. It has no socket, no clock and no
// goroutine.
type Changelog struct {
	list     []string
	sum      uint64
	size     int       // of the encoded list, in bytes
	complete bool      // the start of the server is over
	named    time.Time // when the list last ceased to be empty
	position int       // the number of changes so far

	recent []change // the newest changes, oldest first
	bytes  int      // the encoded size of recent
	known  int      // the first position whose list may be followed

	shared
}

// shared is what has been found out about the current list, for all
// subscribers.
type shared struct {
	followed  map[uint64]bool // by the sum of another list
	whole     []byte          // LIST; nil until it is needed
	steps     map[int]step    // from a position to the current list
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

// Cursor records what a subscriber has been sent. Callers do not change its
// fields.
type Cursor struct {
	Plain       bool      // the form of its subscription
	Waits       bool      // it is not told yet which list is current
	connectedAt time.Time // when it connected
	position    int
	have        *uint64   // sum of the list it came with; nil once answered
	complete    bool      // it was told that the list is complete
	BeatDue     bool      // it must be sent something, if only a beat
	lastSent    time.Time // when it was sent something, or a beat was due
}

// NewCursor returns the cursor of a subscriber that has the list with the sum
// have, or no list if have is nil. A plain subscriber never says what it has.
// One that has a list is sent a beat at once.
func NewCursor(plain bool, have *uint64, now time.Time) Cursor {
	return Cursor{Plain: plain, Waits: true, connectedAt: now, position: nowhere, have: have, BeatDue: have != nil, lastSent: now}
}

// Postpone records that a time after the subscriber has connected did not pass.
func (c *Cursor) Postpone(by time.Duration) { c.connectedAt = c.connectedAt.Add(by) }

// Greet ends the wait of a subscriber. Next will tell it the list, or with a
// beat that it has the current one.
func (c *Cursor) Greet() { c.Waits, c.BeatDue = false, c.have != nil }

// Publish sets the current list. It returns false if nothing has changed. If
// forget is true, no list from before is followed by this one.
func (l *Changelog) Publish(list []string, complete, forget bool, now time.Time) bool {
	removed, added := Compare(l.list, list)
	changed := len(removed)+len(added) > 0
	if !changed && complete == l.complete && !forget {
		return false
	}
	l.complete = complete
	l.shared = shared{}
	if changed {
		c := change{before: l.sum, removed: removed, added: added, bytes: wireSize(removed) + wireSize(added)}
		if len(l.list) == 0 {
			l.named = now
		}
		l.list = list
		l.sum += sumOf(added) - sumOf(removed)
		l.size += wireSize(added) - wireSize(removed)
		l.position++
		l.record(c)
	}
	if forget {
		l.known = l.position
	}
	return true
}

// ListSize returns the size of the encoded list, in bytes.
func (l *Changelog) ListSize() int { return l.size }

// record adds a change, and removes the oldest ones to make room for it.
func (l *Changelog) record(c change) {
	l.recent = append(l.recent, c)
	l.bytes += c.bytes
	excess := 0
	for ; len(l.recent)-excess > maxChanges || l.bytes > max(l.size, minChangeBytes); excess++ {
		l.bytes -= l.recent[excess].bytes
	}
	l.recent = slices.Delete(l.recent, 0, excess)
}

// follows reports whether the current list is to be believed by a subscriber
// that has the list with the sum. It is the same list, or was published after
// it, and most of its names are still there.
func (l *Changelog) follows(sum uint64) bool {
	follows, found := l.followed[sum]
	if !found {
		if position := l.find(sum); position != nowhere && position >= l.known {
			removed, added := l.changesSince(position)
			had := len(l.list) + len(removed) - len(added)
			follows = len(removed) < fewLeaves || 2*len(removed) <= had
		}
		if l.followed == nil || len(l.followed) == maxFollowed {
			l.followed = make(map[uint64]bool) // subscribers may make up sums
		}
		l.followed[sum] = follows
	}
	return follows
}

// Next returns the message that a subscriber must be sent now, or nil, and
// counts it as sent. The message is shared and must not be changed.
func (l *Changelog) Next(c *Cursor, now time.Time) []byte {
	unknown := c.have == nil && c.position == nowhere && !l.complete && len(l.list) == 0
	if c.Waits || unknown {
		return l.waitingBeat(c, now)
	}
	if c.have != nil {
		c.position, c.have = l.find(*c.have), nil
	}
	s := l.stepFrom(c.position)
	due := s.changed || !c.Plain && (c.complete != l.complete || c.BeatDue)
	c.position, c.complete, c.BeatDue = l.position, l.complete, false
	if !due {
		return nil
	}
	c.lastSent = now
	if c.Plain {
		return l.encodedList()[2:]
	}
	return s.message
}

// waitingBeat returns what a waiting subscriber is sent if a beat is due: a
// beat with the sum of the list that it came with, or WAIT if it came without
// one. Otherwise it returns nil.
func (l *Changelog) waitingBeat(c *Cursor, now time.Time) []byte {
	if c.Plain || !c.BeatDue {
		return nil
	}
	c.BeatDue, c.lastSent = false, now
	if c.have == nil {
		return (&Update{kind: kindWait}).encode()
	}
	return (&Update{kind: kindBeat, complete: l.complete, held: true, sum: *c.have}).encode()
}

// find returns the position of the list with the sum, or nowhere.
func (l *Changelog) find(sum uint64) int {
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
func (l *Changelog) oldest() int { return l.position - len(l.recent) }

// stepFrom returns the step from a position to the current list.
func (l *Changelog) stepFrom(position int) step {
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
func (l *Changelog) difference(position int) *Update {
	u := &Update{kind: kindBeat, complete: l.complete, sum: l.sum}
	if u.removed, u.added = l.changesSince(position); len(u.removed)+len(u.added) > 0 {
		u.kind, u.before = kindChange, l.recent[position-l.oldest()].before
	}
	return u
}

// changesSince returns the net effect of the changes since a position.
func (l *Changelog) changesSince(position int) (removed, added []string) {
	changes := l.recent[position-l.oldest():]
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
func (l *Changelog) encodedList() []byte {
	if l.whole == nil {
		l.whole = (&Update{kind: kindList, complete: l.complete, names: l.list}).encode()
	}
	return l.whole
}

// MarkBeat returns true if the subscriber has been sent nothing for about a
// beat. Next will then send a beat if there is nothing else.
func (c *Cursor) MarkBeat(now time.Time, beat time.Duration) bool {
	if now.Before(c.NextBeat(beat).Add(-beat / beatSlack)) {
		return false
	}
	c.lastSent, c.BeatDue = now, true
	return true
}

// NextBeat returns when the next beat is due. As long as the subscriber was
// told nothing, it is not told more often that there is no list yet than it
// needs to stay connected.
func (c *Cursor) NextBeat(beat time.Duration) time.Time {
	if c.have == nil && c.position == nowhere {
		beat = max(beat, waitInterval)
	}
	return c.lastSent.Add(beat)
}
