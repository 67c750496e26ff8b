package measure

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Timeout is how long a change, or the start of a cluster, may take. Memberlist
// sometimes needs one or two of its full exchanges, which are 30 seconds apart.
const Timeout = 2 * time.Minute

// pause is the time between two changes. It is longer than the server's
// JoinInterval, so that each change is published on its own.
const pause = 30 * time.Millisecond

// Times are the results of measuring something several times.
type Times []time.Duration

// Percentile returns the smallest time that at least p percent of the times do
// not exceed. Without times it returns 0.
func (t Times) Percentile(p float64) time.Duration {
	if len(t) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(t))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}

// Median returns the 50th percentile.
func (t Times) Median() time.Duration { return t.Percentile(50) }

// Changes are the times until all peers had seen a newcomer join, and leave.
type Changes struct {
	Join, Leave Times
}

// Crowd is a group of peers that a newcomer can join.
type Crowd interface {
	// Join makes a newcomer join. It may return before any peer has seen that.
	Join(name string) error
	// Leave makes the newcomer that has joined last leave.
	Leave() error
}

// Run lets newcomers join and leave, one after the other. With and without are
// the values that the peers of the watch see with and without the newcomer.
func Run(c Crowd, w *Watch, rounds int, with func(name string) uint64, without uint64) (Changes, error) {
	var changes Changes
	for i := range rounds {
		name := Newcomer(i)
		took, err := w.Time(with(name), func() error { return c.Join(name) })
		if err != nil {
			return changes, fmt.Errorf("join of %s: %w", name, err)
		}
		changes.Join = append(changes.Join, took)
		if took, err = w.Time(without, c.Leave); err != nil {
			return changes, fmt.Errorf("leave of %s: %w", name, err)
		}
		changes.Leave = append(changes.Leave, took)
	}
	return changes, nil
}

// Time pauses, makes a change, and returns how long it takes until all peers
// see the value.
func (w *Watch) Time(value uint64, change func() error) (time.Duration, error) {
	time.Sleep(pause)
	round := w.Expect(value)
	if err := change(); err != nil {
		return 0, err
	}
	return round.Wait(Timeout)
}

// IdleTime returns the processor time that this process uses in a window of
// time in which nothing changes.
func IdleTime(window time.Duration) (time.Duration, error) {
	before, err := ProcessorTime()
	if err != nil {
		return 0, err
	}
	time.Sleep(window)
	after, err := ProcessorTime()
	return after - before, err
}

// Names returns the names of n peers.
func Names(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("http://10.0.%d.%d:8080", i/250, i%250)
	}
	return names
}

// Newcomer returns the name of the newcomer in the given round.
func Newcomer(round int) string {
	return fmt.Sprintf("http://10.1.%d.%d:8080", round/250, round%250)
}

// CheckList returns an error unless a peer's list is the wanted one. Both must
// be sorted.
func CheckList(got, want []string) error {
	if slices.Equal(got, want) {
		return nil
	}
	for _, name := range got {
		if _, found := slices.BinarySearch(want, name); !found {
			return fmt.Errorf("the list of %d names, want %d, has %s too much", len(got), len(want), name)
		}
	}
	return fmt.Errorf("the list has %d names, want %d", len(got), len(want))
}
