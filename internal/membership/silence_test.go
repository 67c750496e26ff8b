package membership

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// hung is a test of how long clients stay on the list that hang.
type hung struct {
	name    string
	clients int
	perHost int // clients on each host; 0 for one
	names   int // of each client; 0 for one
	takes   int // milliseconds to the answers of those that hang
	config  Config
	hang    []int // from 10.5 s on
	steps   string
	want    int // milliseconds from the first survey without an answer
}

func (test hung) run(t *testing.T) {
	t.Run(test.name, func(t *testing.T) {
		p := newPlay(t, test.config)
		for id := range test.clients {
			c := p.client(id)
			c.host = fmt.Sprint("host", id/max(test.perHost, 1))
			for n := 1; n < test.names; n++ {
				c.names = append(c.names, fmt.Sprint(id, "-", n))
			}
			p.on(0, func() { p.join(id) })
		}
		for _, id := range test.hang {
			p.client(id).takes = test.takes
			p.on(10500, func() { p.client(id).hangs = true })
		}
		if test.steps != "" {
			p.steps(test.steps)
		}
		p.run(10000)
		all := len(p.list)
		left := make(map[int]int)
		for at := 10000; at < 1000000 && len(left) < len(test.hang); at += 10 {
			p.run(at)
			for id := range test.clients {
				for _, name := range p.clients[id].names {
					_, found := slices.BinarySearch(p.list, name)
					switch hangs := slices.Contains(test.hang, id); {
					case found == (left[id] == 0):
					case !hangs:
						t.Fatalf("%s, which lives, has left at %d ms", name, at)
					case !found:
						left[id] = at
					}
				}
			}
		}
		for _, id := range test.hang {
			if got := left[id] - p.client(id).asked; left[id] == 0 || got != test.want {
				t.Errorf("%d has left after %d ms, want %d ms", id, got, test.want)
			}
		}
		if want := all - len(test.hang)*max(test.names, 1); len(p.list) != want {
			t.Errorf("got %d names, want %d", len(p.list), want)
		}
	})
}

// upTo returns the numbers from 0 to n-1.
func upTo(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

// A client that hangs leaves after MissedSurveys polls. If its answers were
// slow before, it is given 64 times as long, to the end of a poll, but no more
// than 30 s.
func TestSilence(t *testing.T) {
	for _, test := range []hung{
		{name: "fast", clients: 10, hang: []int{3}, want: 4000},
		{name: "fast, the only one", clients: 1, hang: []int{0}, want: 4000},
		{name: "fast, one survey", clients: 10, config: Config{MissedSurveys: 1}, hang: []int{3}, want: 1000},
		{name: "fast, three surveys", clients: 10, config: Config{MissedSurveys: 3}, hang: []int{3}, want: 7000},
		{name: "fast, polls far apart", clients: 10, config: rare, hang: []int{3}, want: 62000},
		{name: "a little slow", clients: 10, takes: 62, hang: []int{3}, want: 4000},
		{name: "slow", clients: 10, takes: 100, hang: []int{3}, want: 7000},
		{name: "slower", clients: 10, takes: 300, hang: []int{3}, want: 22000},
		{name: "very slow", clients: 10, takes: 500, hang: []int{3}, want: 30000},
		{name: "very slow, polls 20 s apart", clients: 10, takes: 500, config: Config{PollTime: 20 * time.Second}, hang: []int{3}, want: 30000},
		{name: "very slow, polls 29.5 s apart", clients: 10, takes: 500, config: Config{PollTime: 29500 * ms}, hang: []int{3}, want: 31500},
		{name: "very slow, many surveys", clients: 10, takes: 500, config: Config{MissedSurveys: 20}, hang: []int{3}, want: 58000},
		{name: "very slow, surveys of a minute", clients: 10, takes: 500, config: Config{SurveyTime: time.Minute}, hang: []int{3}, want: 122000},
	} {
		test.run(t)
	}
}

// While many hosts are silent together, each name is given 30 s.
func TestManySilences(t *testing.T) {
	for _, test := range []hung{
		{name: "two of many", clients: 10, hang: upTo(2), want: 4000},
		{name: "three of many", clients: 10, hang: upTo(3), want: 30000},
		{name: "one in seven", clients: 28, hang: upTo(4), want: 4000},
		{name: "more than one in seven", clients: 27, hang: upTo(4), want: 30000},
		{name: "all of two", clients: 2, hang: upTo(2), want: 30000},
		{name: "all of many", clients: 10, hang: upTo(10), want: 30000},
		{name: "all of many, polls 20 s apart", clients: 10, config: Config{PollTime: 20 * time.Second}, hang: upTo(10), want: 30000},
		{name: "all of many, two long surveys", clients: 10, config: Config{SurveyTime: time.Minute}, hang: upTo(10), want: 122000},
		{name: "three on one host of six", clients: 18, perHost: 3, hang: upTo(3), want: 4000},
		{name: "two hosts of six", clients: 18, perHost: 3, hang: upTo(6), want: 4000},
		{name: "three hosts of six", clients: 18, perHost: 3, hang: upTo(9), want: 30000},
		{name: "one on each of three hosts", clients: 18, perHost: 3, hang: []int{0, 3, 6}, want: 30000},
		{name: "a host of two", clients: 20, perHost: 10, hang: upTo(10), want: 4000},
		{name: "both hosts", clients: 6, perHost: 3, hang: upTo(6), want: 30000},
		{name: "three names of a client", clients: 6, names: 3, hang: upTo(1), want: 4000},
		{name: "three names, the only client", clients: 1, names: 3, hang: upTo(1), want: 4000},
		{name: "two on the only host", clients: 10, perHost: 10, hang: upTo(2), want: 4000},
		{name: "three on the only host", clients: 10, perHost: 10, hang: upTo(3), want: 30000},
		{name: "both on the only host", clients: 2, perHost: 2, hang: upTo(2), want: 4000},
		{name: "one in seven on the only host", clients: 28, perHost: 28, hang: upTo(4), want: 4000},
		{name: "strangers do not count", clients: 10, hang: upTo(1), steps: "10600 join 50-60; 10600 hang 50-60", want: 4000},
	} {
		test.run(t)
	}
}

// The time of a stop is no silence, and does not make one begin anew.
func TestSilenceAndStops(t *testing.T) {
	stops := func(first, every, length int) (steps string) {
		steps = fmt.Sprintf("%d stop %d", first, length)
		for at := first + every; at < 300000; at += every {
			steps += fmt.Sprintf("; %d stop %d", at, length)
		}
		return steps
	}
	for _, test := range []hung{
		{name: "a stop of ten seconds", clients: 10, hang: upTo(1), steps: "12100 stop 10000", want: 13850},
		{name: "a stop of ten seconds between polls", clients: 10, hang: upTo(1), steps: "13100 stop 10000", want: 13850},
		{name: "four of 20, a stop of 0.9 s each minute", clients: 20, hang: upTo(4), steps: stops(20000, 60000, 900), want: 30900},
		{name: "four of 20, a stop of 1 s each 8 s", clients: 20, hang: upTo(4), steps: stops(8000, 8000, 1000), want: 34000},
		{name: "a slow one, a stop of 1 s each 25 s", clients: 10, takes: 600, hang: upTo(1), steps: stops(25000, 25000, 1000), want: 30850},
		{name: "a fast one, a stop of 1 s each 8 s", clients: 10, hang: upTo(1), steps: stops(8000, 8000, 1000), want: 4000},
	} {
		test.run(t)
	}
}

// A name is silent from the end of a poll that no connection has answered for
// it to that of the next. What is on the list without a connection is silent
// too.
func TestSilent(t *testing.T) {
	for _, test := range []struct {
		name   string
		config Config
		steps  string
		want   map[int]string // by milliseconds
	}{
		{"hangs", Config{}, "10500 hang 3", map[int]string{12999: "", 13000: "3", 15999: "3", 16000: ""}},
		{"and wakes after the poll", Config{}, "10500 hang 3; 13500 wake 3", map[int]string{13000: "3", 14999: "3", 15000: ""}},
		{"and wakes within it", Config{}, "10500 hang 3; 12500 wake 3", map[int]string{13000: ""}},
		{"in a poll that is doubted", Config{}, "10500 hang 0-9", map[int]string{12999: "", 13000: "0 1 2 3 4 5 6 7 8 9", 16000: "0 1 2 3 4 5 6 7 8 9"}},
		{"of two connections one hangs", Config{}, "10500 join 103; 10600 hang 3", map[int]string{13000: "", 16000: ""}},
		{"of two connections both hang", Config{}, "10500 join 103; 10600 hang 3 103", map[int]string{12999: "", 13000: "3", 16000: ""}},
		{"most have ended", Config{ReturnTime: 20 * time.Second}, "10500 break 0-8; 13000 join 0-7", map[int]string{11999: "", 12000: "0 1 2 3 4 5 6 7 8", 13999: "0 1 2 3 4 5 6 7 8", 14000: "8"}},
		{"one has ended", Config{}, "11990 break 3", map[int]string{11999: "", 12000: "3", 12020: "3", 14000: ""}},
		{"checked", Config{}, "11000 check 3; 11000 hang 3", map[int]string{13000: "", 60000: ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := crowd(t, 10, test.config)
			p.client(103).names = []string{"3"}
			p.steps(test.steps)
			for _, at := range slices.Sorted(maps.Keys(test.want)) {
				p.run(at)
				if got, want := strings.Join(p.Silent(), " "), test.want[at]; got != want {
					t.Errorf("at %d ms: got %q, want %q", at, got, want)
				}
			}
		})
	}
}
