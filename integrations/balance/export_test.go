package balance

// StartAt makes the search for the next backend begin at the one with this
// index.
func (t *Transport) StartAt(i int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next = i
}

var NewBase = newBase

const AvoidTime = avoidTime
