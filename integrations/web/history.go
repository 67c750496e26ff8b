package web

import (
	"fmt"
	"strings"
	"time"
)

const (
	// historySlots is how many points the picture of the last hour has.
	historySlots = 60

	slotTime = time.Hour / historySlots
)

// history is the number of peers over the last hour, in slots. One that is
// short has its place in it even so.
type history struct {
	slots []slot    // the newest last
	end   time.Time // of the last one
}

// slot is the lowest, the highest and the last number within a time.
type slot struct{ low, high, last int }

// note says how many peers there are now. It returns true if a slot begins.
func (h *history) note(peers int, now time.Time) (begins bool) {
	if len(h.slots) == 0 {
		h.slots, h.end = []slot{{peers, peers, peers}}, now.Add(slotTime)
	}
	for !now.Before(h.end) {
		last := h.slots[len(h.slots)-1].last
		h.slots = append(h.slots[max(0, len(h.slots)+1-historySlots):], slot{last, last, last})
		h.end = h.end.Add(slotTime)
		begins = true
	}
	s := &h.slots[len(h.slots)-1]
	s.low, s.high, s.last = min(s.low, peers), max(s.high, peers), peers
	return begins
}

// past is a history as the page shows it.
type past struct {
	Low, High int
	Path      string // of SVG, in a box of historySlots by 100
}

// past returns the picture. A peer more is a line higher above the bottom,
// which stands for none.
func (h *history) past() past {
	p := past{Low: h.slots[0].low}
	for _, s := range h.slots {
		p.Low, p.High = min(p.Low, s.low), max(p.High, s.high)
	}
	height := func(peers int) int { return 98 - 96*peers/max(1, p.High) } // the line has a width
	var path strings.Builder
	fmt.Fprintf(&path, "M%d %d", historySlots-len(h.slots), height(h.slots[0].low))
	for _, s := range h.slots {
		for _, peers := range []int{s.low, s.high, s.last} {
			fmt.Fprintf(&path, "V%d", height(peers))
		}
		path.WriteString("h1")
	}
	p.Path = path.String()
	return p
}
