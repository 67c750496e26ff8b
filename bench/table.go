package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dahernan/gopherdiscovery/bench/internal/measure"
)

// explanation is printed above the rows.
const explanation = `
Joins and leaves are the times until all peers have seen them, and in brackets
those times in floors. A floor is the time until one process has written 70
bytes to each of so many connections, and another has received them. Light
peers speak the protocol and keep no list. They are in one process, and their
server is in another. Clusters are in one process, with all servers they need.
A cold start ends when everyone sees everyone. Idle cost is processor time.`

// nothing stands for a value that was not measured.
const nothing = "-"

// print prints all that was measured.
func (all *results) print(cfg config, out io.Writer) error {
	fmt.Fprintf(out, "%s %s/%s, %d cores, PollTime %v, light peers subscribe %s\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), cfg.pollTime, all.form())
	fmt.Fprintln(out, explanation)
	var rows strings.Builder
	t := &table{tabwriter.NewWriter(&rows, 0, 0, 3, ' ', 0), all, cfg.sizes}
	t.light()
	t.cluster(all.library)
	for _, c := range all.clusters {
		t.cluster(c)
	}
	if err := t.w.Flush(); err != nil {
		return err
	}
	for row := range strings.Lines(rows.String()) {
		if _, err := fmt.Fprintln(out, strings.TrimRight(row, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// form returns the form of the light peers, which is the same for all sizes.
func (all *results) form() Form {
	for _, result := range all.light {
		return result.form
	}
	return nothing
}

// table prints rows with a column for each size.
type table struct {
	w     *tabwriter.Writer
	all   *results
	sizes []int
}

func (t *table) light() {
	t.head("light peers")
	get := func(f func(lightResult) measure.Times) func(int) measure.Times {
		return func(n int) measure.Times { return f(t.all.light[n]) }
	}
	t.row("floor, median", func(n int) string { return milliseconds(t.all.light[n].floor.Median()) })
	t.row("cold start, median", func(n int) string { return t.time(n, t.all.light[n].coldStart.Median()) })
	t.lightRow("cold start, connections refused", func(_ int, r lightResult) string {
		return strings.Trim(fmt.Sprint(r.refused), "[]")
	})
	t.times("join", get(func(r lightResult) measure.Times { return r.changes.Join }))
	t.times("leave", get(func(r lightResult) measure.Times { return r.changes.Leave }))
	t.lightRow("bytes per change and subscriber", func(_ int, r lightResult) string {
		return fmt.Sprintf("%.0f", r.changes.BytesPerChange)
	})
	t.lightRow("idle server, per peer", func(n int, r lightResult) string { return cost(r.idle, n) })
	t.lightRow("memory of the server, per peer", func(n int, r lightResult) string {
		if r.resident <= 0 {
			return nothing
		}
		return fmt.Sprintf("%.1f KB", float64(r.resident)/float64(n)/1024)
	})
}

func (t *table) cluster(c clusterResults) {
	if len(c.at) == 0 {
		return
	}
	t.head(c.kind)
	get := func(f func(clusterResult) measure.Times) func(int) measure.Times {
		return func(n int) measure.Times { return f(c.at[n]) }
	}
	t.row("cold start, median", func(n int) string {
		return t.time(n, c.at[n].coldStart.Median())
	})
	t.times("join", get(func(r clusterResult) measure.Times { return r.changes.Join }))
	t.times("leave", get(func(r clusterResult) measure.Times { return r.changes.Leave }))
	t.row("idle, all together, per peer", func(n int) string { return cost(c.at[n].idle, n) })
	for _, n := range t.sizes {
		if err := c.at[n].err; err != nil {
			fmt.Fprintf(t.w, "with %d peers: %v\n", n, err)
		}
	}
}

func (t *table) head(title string) {
	// An empty line would end the columns.
	t.row("", func(int) string { return "" })
	t.row(title, func(n int) string { return fmt.Sprint(n) })
}

func (t *table) row(name string, cell func(n int) string) {
	fmt.Fprint(t.w, name)
	for _, n := range t.sizes {
		fmt.Fprint(t.w, "\t", cell(n))
	}
	fmt.Fprintln(t.w)
}

func (t *table) lightRow(name string, cell func(n int, r lightResult) string) {
	t.row(name, func(n int) string {
		if r, ok := t.all.light[n]; ok {
			return cell(n, r)
		}
		return nothing
	})
}

// times prints the median and the 95th percentile.
func (t *table) times(name string, get func(n int) measure.Times) {
	for _, p := range []struct {
		name    string
		percent float64
	}{{"median", 50}, {"95 %", 95}} {
		t.row(name+", "+p.name, func(n int) string { return t.time(n, get(n).Percentile(p.percent)) })
	}
}

// time formats a duration, with its number of floors of n peers.
func (t *table) time(n int, d time.Duration) string {
	if d == 0 {
		return nothing
	}
	if floor := t.all.light[n].floor.Median(); floor != 0 {
		return fmt.Sprintf("%s (%s)", milliseconds(d), digits(d.Seconds()/floor.Seconds()))
	}
	return milliseconds(d)
}

func milliseconds(d time.Duration) string { return digits(d.Seconds()*1000) + " ms" }

// digits formats a number with three digits or more.
func digits(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// cost formats the processor time per second that each of n peers costs.
func cost(perSecond time.Duration, n int) string {
	if perSecond == 0 {
		return nothing
	}
	return fmt.Sprintf("%.4f ms/s", perSecond.Seconds()*1000/float64(n))
}
