// Bench measures how fast gopherdiscovery is on this machine, and what it
// costs.
//
//	go run ./bench
//
// This runs for about two minutes and prints a table: the times until all peers
// have seen a join or a leave, the time until a new cluster sees itself, the
// bytes, processor time and memory that this takes, and the floor that the
// machine sets. The server and its peers run in processes of their own, which
// share the machine, are connected over loopback, and end with this one.
//
// With -etcd and -memberlist the same job is given to embedded etcd and to
// hashicorp/memberlist. The working directory must then be in a clone of this
// repository, and the first run takes a few minutes longer, to download and
// build them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/dahernan/gopherdiscovery/bench/internal/child"
	"github.com/dahernan/gopherdiscovery/bench/internal/measure"
)

// config holds the values of the flags.
type config struct {
	sizes      sizes
	rounds     int
	idle       time.Duration
	pollTime   time.Duration
	library    int // largest size of a cluster of the library's peers
	plain      bool
	etcd       bool
	memberlist bool
}

func main() {
	if err := runMain(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func runMain() error {
	if child.Role() != "" {
		return serve()
	}
	cfg := config{sizes: sizes{50, 1000}}
	flag.Var(&cfg.sizes, "sizes", "numbers of peers, separated by commas")
	flag.IntVar(&cfg.rounds, "rounds", 30, "joins and leaves that are measured for each size")
	flag.DurationVar(&cfg.idle, "idle", 10*time.Second, "how long the idle cost is measured for each size")
	flag.DurationVar(&cfg.pollTime, "poll", 2*time.Second, "the server's PollTime")
	flag.IntVar(&cfg.library, "library", 1000, "largest number of the library's own peers, which are in one process")
	flag.BoolVar(&cfg.plain, "plain", false, "light peers subscribe in plain lists, as those of 2015 do")
	flag.BoolVar(&cfg.etcd, "etcd", false, "measure embedded etcd too")
	flag.BoolVar(&cfg.memberlist, "memberlist", false, "measure hashicorp/memberlist too")
	flag.Parse()
	if flag.NArg() > 0 || cfg.rounds < 1 || cfg.idle <= 0 || cfg.pollTime <= 0 {
		flag.Usage()
		return errors.New("wrong arguments")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, cfg, os.Stdout, os.Stderr)
}

// These are the roles of children.
const (
	roleServer  = "Server"
	roleLight   = "Light"
	roleLibrary = "Library"
)

// serve is the main function of a child.
func serve() error {
	switch role := child.Role(); role {
	case roleServer:
		return child.Serve(new(Server))
	case roleLight:
		return child.Serve(new(Light))
	case roleLibrary:
		pollTime, err := time.ParseDuration(os.Getenv(pollVariable))
		if err != nil {
			return err
		}
		return child.Serve(&measure.Service{New: func() measure.Cluster { return &library{pollTime: pollTime} }})
	default:
		return fmt.Errorf("unknown role %q", role)
	}
}

// sizes is a flag that takes numbers of peers.
type sizes []int

func (s *sizes) String() string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint([]int(*s)), " ", ","), "[]")
}

func (s *sizes) Set(value string) error {
	*s = nil
	for field := range strings.SplitSeq(value, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || n < 1 {
			return fmt.Errorf("%q is no number of peers", field)
		}
		*s = append(*s, n)
	}
	return nil
}
