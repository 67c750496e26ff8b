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
	form     Form
	floor    measure.Times
	changes  LightChanges
	idle     time.Duration // processor time of the server per second
	resident int64         // bytes of the server for the peers
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
func measureLight(ctx context.Context, cfg config, n int) (result lightResult, err error) {
	server, err := child.Start(roleServer)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	light, err := child.Start(roleLight)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, light.Close()) }()

	var bound Addresses
	var before, after int64
	var used time.Duration
	peers := LightPeers{N: n, Plain: cfg.plain}
	steps := []func() error{
		func() error { return server.Call(ctx, "Start", ServerOptions{cfg.pollTime, n}, &bound) },
		func() error { return server.Call(ctx, "Resident", struct{}{}, &before) },
		func() error {
			peers.Survey, peers.PubSub = bound.Survey, bound.PubSub
			return light.Call(ctx, "Connect", peers, &result.form)
		},
		func() error { return server.Call(ctx, "Complete", struct{}{}, &struct{}{}) },
		func() error { return light.Call(ctx, "Changes", cfg.rounds, &result.changes) },
		func() error { return server.Call(ctx, "Idle", cfg.idle, &used) },
		func() error { return server.Call(ctx, "Resident", struct{}{}, &after) },
		func() error { return light.Call(ctx, "Disconnect", struct{}{}, &struct{}{}) },
		func() error { return server.Call(ctx, "Drain", struct{}{}, &struct{}{}) },
		func() error { return light.Call(ctx, "Floor", FloorRun{bound.Floor, n, cfg.rounds}, &result.floor) },
		func() error { return server.Call(ctx, "Close", struct{}{}, &struct{}{}) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return result, err
		}
	}
	result.idle, result.resident = perSecond(used, cfg.idle), after-before
	return result, nil
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
