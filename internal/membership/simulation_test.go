package membership

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// simDetectors are compared with each other on the same traces.
var simDetectors = []struct {
	name string
	run  func(*trace) *score
}{
	{"gopherdiscovery", func(t *trace) *score { return simSurvey(t, newOurs(t)) }},
	{"2 surveys", func(t *trace) *score { return simSurvey(t, newFixedLimit(2)) }},
	{"8 surveys", func(t *trace) *score { return simSurvey(t, newFixedLimit(8)) }},
	{"memberlist", simSwim},
	{"Eureka", simEureka},
}

// No living client leaves the list in any world, unless it hangs alone and has
// never done so before: then it may leave once. One that hangs for longer than
// 30 s leaves each time. On a healthy network a client
// that hangs for good is dropped after two surveys. In the cruel worlds a
// detector that always gives up after two surveys drops living clients.
//
// With SIMULATION=long in the environment the test prints how all detectors do
// in four hours of each world.
func TestSimulation(t *testing.T) {
	if testing.Short() || testmain.IsRace() {
		t.Skip("takes seconds, and has no goroutines")
	}
	if os.Getenv("SIMULATION") == "long" {
		simCompare(4 * time.Hour)
		return
	}
	opt := Config{}.withDefaults()
	twoSurveys := 2*(opt.PollTime+opt.SurveyTime) + opt.SurveyTime
	for _, w := range simWorlds {
		t.Run(w.name, func(t *testing.T) {
			tr := newTrace(w, 15*time.Minute)
			s := simSurvey(tr, newOurs(tr))
			all, most := s.falseLeaves()
			switch hangs := len(tr.clients[0].paused); {
			case w.tooLong && most != hangs:
				t.Errorf("a client that lives has left %d times, want once for each of %d hangs", most, hangs)
			case !w.tooLong && (all > 0 && !w.unfair || most > 1):
				t.Errorf("%d leaves of clients that live, of one of them %d", all, most)
			}
			if len(s.found) < 20 {
				t.Errorf("only %d clients that hang were dropped", len(s.found))
			}
			if slowest := s.quantile(1); slowest > twoSurveys && w.name == simWorlds[0].name {
				t.Errorf("it took %v to notice that a client hangs", slowest)
			}
			if all, _ := simSurvey(tr, newFixedLimit(2)).falseLeaves(); (all > 0) != w.cruel {
				t.Errorf("with two surveys: %d leaves of clients that live", all)
			}
		})
	}
}

func TestSimulationIsRepeatable(t *testing.T) {
	for _, d := range simDetectors {
		t.Run(d.name, func(t *testing.T) {
			var scores [2]*score
			for i := range scores {
				scores[i] = d.run(newTrace(simWorlds[2], 4*time.Minute))
			}
			a, b := scores[0], scores[1]
			slices.Sort(a.found)
			slices.Sort(b.found)
			if !slices.Equal(a.found, b.found) || !maps.Equal(a.leaves, b.leaves) {
				t.Error("two runs differ")
			}
		})
	}
}

// On a healthy network the other detectors behave as documented: no living
// client leaves, and one that hangs is noticed within these times.
func TestSimulationOfOthers(t *testing.T) {
	for _, test := range []struct {
		run             func(*trace) *score
		fastest, latest time.Duration
	}{
		{simSwim, swimShortest, swimShortest + 10*swimProbe},
		{simEureka, eurekaLease - eurekaRenews, eurekaLease + eurekaEvicts},
	} {
		s := test.run(newTrace(simWorlds[0], 15*time.Minute))
		if all, _ := s.falseLeaves(); all > 0 || len(s.found) < 20 {
			t.Errorf("%d leaves of clients that live; %d that hang were noticed", all, len(s.found))
		}
		if s.quantile(0) < test.fastest || s.quantile(1) > test.latest {
			t.Errorf("noticed within %v to %v, want %v to %v", s.quantile(0), s.quantile(1), test.fastest, test.latest)
		}
	}
}

// simCompare prints two tables in Markdown.
func simCompare(until time.Duration) {
	head := "| World |"
	for _, d := range simDetectors {
		head += " " + d.name + " |"
	}
	head += "\n|---|" + strings.Repeat("--:|", len(simDetectors)) + "\n"
	leaves, times := head, head
	for _, w := range simWorlds {
		tr := newTrace(w, until)
		leaves += "| " + w.name + " |"
		times += "| " + w.name + " |"
		for _, d := range simDetectors {
			s := d.run(tr)
			all, _ := s.falseLeaves()
			leaves += fmt.Sprintf(" %.2g |", float64(all)/simClients/until.Hours())
			times += fmt.Sprintf(" %.0f / %.0f |", s.quantile(0.5).Seconds(), s.quantile(0.99).Seconds())
		}
		leaves += "\n"
		times += "\n"
	}
	fmt.Printf("False leaves per client and hour:\n\n%s\n"+
		"Seconds until a hung client is noticed, median / 99 %%:\n\n%s", leaves, times)
}
