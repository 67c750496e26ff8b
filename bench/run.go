package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/dahernan/gopherdiscovery/bench/internal/child"
	"github.com/dahernan/gopherdiscovery/bench/internal/measure"
)

// pollVariable tells a child the PollTime of its servers.
const pollVariable = "GOPHERDISCOVERY_BENCH_POLL"

// coldStarts is how many cold starts are measured for each size. The table
// shows their median.
const coldStarts = 3

// lightResult is what was measured with light peers.
type lightResult struct {
	form      Form
	coldStart measure.Times
	refused   []uint64 // connections in each cold start
	floor     measure.Times
	changes   LightChanges
	idle      time.Duration // processor time of the server per second
	resident  int64         // bytes of the server for the peers
}

// clusterResult is what was measured with a cluster in one process.
type clusterResult struct {
	coldStart measure.Times
	changes   measure.Changes
	idle      time.Duration // processor time of all per second
	err       error         // why the rest was not measured
}

// clusterResults are the results for one kind of cluster, by size.
type clusterResults struct {
	kind string
	at   map[int]clusterResult
}

// results are all the measurements, by size.
type results struct {
	light    map[int]lightResult
	library  clusterResults
	clusters []clusterResults // other kinds
}

// run measures what cfg asks for. It prints the table to out, and what it is
// doing to progress.
func run(ctx context.Context, cfg config, out, progress io.Writer) error {
	all, err := measureAll(ctx, cfg, progress)
	return errors.Join(err, all.print(cfg, out))
}

// measureAll returns what it has measured even if it fails.
func measureAll(ctx context.Context, cfg config, progress io.Writer) (*results, error) {
	all := &results{light: make(map[int]lightResult)}
	all.library = clusterResults{"cluster of the library", make(map[int]clusterResult)}
	for _, n := range cfg.sizes {
		fmt.Fprintf(progress, "measuring %d light peers\n", n)
		result, err := measureLight(ctx, cfg, n)
		if err != nil {
			return all, err
		}
		all.light[n] = result
	}
	for _, n := range cfg.sizes {
		if n > cfg.library {
			continue
		}
		fmt.Fprintf(progress, "measuring %s, %d peers\n", all.library.kind, n)
		if all.library.at[n] = measureCluster(ctx, cfg, n, startLibrary(cfg)); all.library.at[n].err != nil {
			return all, all.library.at[n].err
		}
	}
	temp, err := os.MkdirTemp("", "gopherdiscovery-bench")
	if err != nil {
		return all, err
	}
	defer os.RemoveAll(temp)
	for _, o := range others(cfg, temp) {
		result := clusterResults{o.kind, make(map[int]clusterResult)}
		for _, n := range cfg.sizes {
			if n > cfg.library {
				continue
			}
			fmt.Fprintf(progress, "measuring %s, %d peers\n", o.kind, n)
			result.at[n] = measureCluster(ctx, cfg, n, o.start)
		}
		all.clusters = append(all.clusters, result)
	}
	return all, ctx.Err()
}

// startFunc starts a child that serves a measure.Service.
type startFunc func() (*child.Process, error)

func startLibrary(cfg config) startFunc {
	return func() (*child.Process, error) {
		return child.Start(roleLibrary, pollVariable+"="+cfg.pollTime.String())
	}
}

// measureLight measures n light peers, in one process, and a server in another.
// For each cold start there are new processes, and those of the last one serve
// for the rest.
func measureLight(ctx context.Context, cfg config, n int) (result lightResult, err error) {
	for range coldStarts - 1 {
		p, err := startLight(ctx, cfg, n, &result)
		if err = errors.Join(err, p.close()); err != nil {
			return result, err
		}
	}
	p, err := startLight(ctx, cfg, n, &result)
	defer func() { err = errors.Join(err, p.close()) }()
	if err != nil {
		return result, err
	}
	server, light := p.server, p.light
	var after int64
	var used time.Duration
	err = inOrder(
		func() error { return server.Call(ctx, "Complete", struct{}{}, &struct{}{}) },
		func() error { return light.Call(ctx, "Changes", cfg.rounds, &result.changes) },
		func() error { return server.Call(ctx, "Idle", cfg.idle, &used) },
		func() error { return server.Call(ctx, "Resident", struct{}{}, &after) },
		func() error { return light.Call(ctx, "Disconnect", struct{}{}, &struct{}{}) },
		func() error { return server.Call(ctx, "Drain", struct{}{}, &struct{}{}) },
		func() error { return light.Call(ctx, "Floor", FloorRun{p.bound.Floor, n, cfg.rounds}, &result.floor) },
		func() error { return server.Call(ctx, "Close", struct{}{}, &struct{}{}) },
	)
	result.idle, result.resident = perSecond(used, cfg.idle), after-p.resident
	return result, err
}

// lightPair is a server and light peers, each in a process of their own.
type lightPair struct {
	server, light *child.Process
	bound         Addresses
	resident      int64 // bytes of the server before the peers came
}

// startLight starts a server and n light peers, and adds the cold start to the
// result. The pair must be closed, even after an error.
func startLight(ctx context.Context, cfg config, n int, result *lightResult) (p lightPair, err error) {
	if p.server, err = child.Start(roleServer); err != nil {
		return p, err
	}
	if p.light, err = child.Start(roleLight); err != nil {
		return p, err
	}
	var start LightStart
	var refused uint64
	err = inOrder(
		func() error { return p.server.Call(ctx, "Start", ServerOptions{cfg.pollTime, n}, &p.bound) },
		func() error { return p.server.Call(ctx, "Resident", struct{}{}, &p.resident) },
		func() error {
			peers := LightPeers{N: n, Plain: cfg.plain, Survey: p.bound.Survey, PubSub: p.bound.PubSub}
			return p.light.Call(ctx, "ColdStart", peers, &start)
		},
		func() error { return p.server.Call(ctx, "Refused", struct{}{}, &refused) },
	)
	if err != nil {
		return p, err
	}
	result.form = start.Form
	result.coldStart = append(result.coldStart, start.Took)
	result.refused = append(result.refused, refused)
	return p, nil
}

// close ends the processes.
func (p lightPair) close() (err error) {
	for _, process := range []*child.Process{p.light, p.server} {
		if process != nil {
			err = errors.Join(err, process.Close())
		}
	}
	return err
}

// inOrder calls the steps until one of them fails, and returns its error.
func inOrder(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// measureCluster measures a cluster of n peers in a child.
func measureCluster(ctx context.Context, cfg config, n int, start startFunc) (result clusterResult) {
	process, err := start()
	if err != nil {
		result.err = err
		return result
	}
	defer func() { result.err = errors.Join(result.err, process.Close()) }()
	for range coldStarts {
		var took time.Duration
		if result.err = process.Call(ctx, "ColdStart", n, &took); result.err != nil {
			return result
		}
		result.coldStart = append(result.coldStart, took)
	}
	var used time.Duration
	if result.err = process.Call(ctx, "Changes", cfg.rounds, &result.changes); result.err != nil {
		return result
	}
	if result.err = process.Call(ctx, "Idle", cfg.idle, &used); result.err != nil {
		return result
	}
	result.idle = perSecond(used, cfg.idle)
	result.err = process.Call(ctx, "Close", struct{}{}, &struct{}{})
	return result
}

func perSecond(used, window time.Duration) time.Duration {
	return time.Duration(used.Seconds() / window.Seconds() * float64(time.Second))
}
