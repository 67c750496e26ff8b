//go:build linux

package faults

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// patience is how long a test waits for something without another limit. Only a
// test that fails waits that long.
const patience = 30 * time.Second

// The scenarios mostly wait, so more of them than there are processors can run
// side by side. Fewer can under the race detector, with which each process does
// several times as much.
const (
	quickParallel = 8
	longParallel  = 12
	raceParallel  = 4
)

func TestMain(m *testing.M) {
	if text := os.Getenv(orderVariable); text != "" {
		os.Exit(beChild(text))
	}
	switch {
	case testmain.IsRace():
		testmain.SetParallel(raceParallel)
	case isLong():
		testmain.SetParallel(longParallel)
	default:
		testmain.SetParallel(quickParallel)
	}
	code := testmain.Run(m)
	if left := running.Load(); left != 0 {
		fmt.Fprintf(os.Stderr, "%d processes are left\n", left)
		code = 1
	}
	if testing.Verbose() {
		results.print()
	}
	os.Exit(code)
}

func isLong() bool { return os.Getenv("FAULTS") == "long" }

// long skips a test that takes too long to be part of every run.
func long(t *testing.T) {
	t.Helper()
	if !isLong() {
		t.Skip("takes long: set FAULTS=long to run it")
	}
}

// withServers runs a test once for each number of servers, side by side.
func withServers(t *testing.T, numbers []int, test func(t *testing.T, servers int)) {
	t.Parallel()
	for _, n := range numbers {
		t.Run(fmt.Sprintf("servers=%d", n), func(t *testing.T) {
			t.Parallel()
			test(t, n)
		})
	}
}

var results table

// table collects the measurements.
type table struct {
	mu   sync.Mutex // guards rows
	rows []row
}

type row struct {
	fault             string
	servers           int
	promise, measured string
	falseLeaves       int
}

func (tab *table) add(r row) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	tab.rows = append(tab.rows, r)
}

func (tab *table) print() {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	sortRows(tab.rows)
	var out strings.Builder
	out.WriteString("\n| fault | servers | promise | measured | false leaves |\n| --- | --- | --- | --- | --- |\n")
	for _, r := range tab.rows {
		fmt.Fprintf(&out, "| %s | %d | %s | %s | %d |\n", r.fault, r.servers, r.promise, r.measured, r.falseLeaves)
	}
	fmt.Print(out.String())
}

// after describes a measured duration.
func after(what string, d time.Duration) string {
	unit := time.Millisecond
	if d >= 10*time.Second {
		unit = 100 * time.Millisecond
	}
	return fmt.Sprintf("%s %v", what, max(d, 0).Round(unit))
}

func sortRows(rows []row) {
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(strings.Compare(a.fault, b.fault), cmp.Compare(a.servers, b.servers))
	})
}
