//go:build linux

package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// These variables tell the test binary that it is the peers of an overload.
const (
	peersVariable  = "GOPHERDISCOVERY_FAULTS_PEERS" // how many
	surveyVariable = "GOPHERDISCOVERY_FAULTS_SURVEY"
	pubsubVariable = "GOPHERDISCOVERY_FAULTS_PUBSUB"
)

// overloadWatch is how long the peers are watched once all lists are full.
const overloadWatch = 6 * time.Second

// crowdReport is what the peers of an overload have seen.
type crowdReport struct {
	// Full is when the last list became full, or zero if one never did.
	Full    time.Duration
	Lists   int
	Wrong   int      // lists that lacked a name of the list before
	Trouble []string // the first lines that were logged
}

// All peers of a large cluster start at once in one process, which shares the
// processors with the server. The server and the peers have every reason to be
// late. No list lacks a living peer, and no connection is made twice. A new
// server waits until all have come. A complete one does not: lists of a few
// names each would keep the peers from joining, so it paces them. To run it
// with 4,000 peers, on two otherwise idle processors:
//
//	FAULTS=long FAULTS_OVERLOAD=4000 go test -run TestOverload -v .
func TestOverload(t *testing.T) {
	peers := overloadPeers(t)
	t.Run("new server", func(t *testing.T) {
		overload(t, newSite(t, defaults), peers, "start in one process")
	})
	t.Run("complete server", func(t *testing.T) {
		long(t)
		s := newSite(t, defaults)
		s.awaitComplete()
		overload(t, s, peers, "join a complete server, in one process")
	})
}

func overload(t *testing.T, s *site, peers int, fault string) {
	r := runPeers(t, s, peers)
	// This is ten times as long as on two idle processors.
	most := time.Duration(peers) * 150 * time.Second / 4000
	most = max(most, patience)
	if r.Full == 0 || r.Full > most {
		t.Errorf("all lists were full after %v, want it within %v; zero means never", r.Full, most)
	}
	if r.Wrong > 0 {
		t.Errorf("%d of %d lists lacked someone alive, want none", r.Wrong, r.Lists)
	}
	if len(r.Trouble) > 0 {
		t.Errorf("logged:\n%s\nwant nothing, all connections to stand", some(r.Trouble))
	}
	t.Logf("%d peers: all lists full after %v, %d lists", peers, r.Full, r.Lists)
	results.add(row{fmt.Sprintf("%d peers %s", peers, fault), 1, "no list lacks anyone alive, no connection is lost",
		after("all lists full", r.Full), r.Wrong})
}

func overloadPeers(t *testing.T) int {
	t.Helper()
	if text := os.Getenv("FAULTS_OVERLOAD"); text != "" {
		peers, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return peers
	}
	switch {
	case testmain.IsRace():
		return 200 // the race detector supports at most about 8,000 goroutines
	case isLong():
		return 1000
	}
	return 500
}

// runPeers runs a process of peers until it has seen enough.
func runPeers(t *testing.T, s *site, peers int) (r crowdReport) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "-test.run=^TestOverloadPeers$")
	cmd.Env = append(os.Environ(), peersVariable+"="+strconv.Itoa(peers), surveyVariable+"="+s.order.Survey, pubsubVariable+"="+s.order.PubSub)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	running.Add(1)
	defer running.Add(-1)
	said := json.NewDecoder(out).Decode(&r)
	if clients := s.server.state().Clients; said == nil && r.Full > 0 && clients != peers {
		t.Errorf("the server has %d connections, want %d", clients, peers)
	}
	_ = stdin.Close() // it waits for this
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); said != nil || err != nil {
		t.Fatalf("the peers: %v, %v", said, err)
	}
	return r
}

// TestOverloadPeers is not a test, but the process of peers.
func TestOverloadPeers(t *testing.T) {
	peers, err := strconv.Atoi(os.Getenv(peersVariable))
	if err != nil {
		t.Skip("it is a part of TestOverload")
	}
	c := newCrowd(peers)
	dialer := &gopherdiscovery.Dialer{Logger: slog.New(slog.NewTextHandler(c, nil))}
	var clients []*gopherdiscovery.DiscoveryClient
	defer func() {
		for _, client := range clients {
			client.Cancel() // all of them, before the first is waited for
		}
		for _, client := range clients {
			client.Wait()
		}
	}()
	for _, name := range names("http://peer.example:8080", peers) {
		client, err := dialer.ClientWithSub(context.Background(), os.Getenv(surveyVariable), os.Getenv(pubsubVariable), name)
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, client)
		lists, err := client.Peers()
		if err != nil {
			t.Fatal(err)
		}
		go c.follow(lists)
	}
	select {
	case <-c.full:
		time.Sleep(overloadWatch)
	case <-time.After(3 * time.Minute):
	}
	if err := json.NewEncoder(os.Stdout).Encode(c.end()); err != nil {
		t.Fatal(err)
	}
	_, _ = os.Stdin.Read(make([]byte, 1)) // until it is closed
}

// crowd is what all the peers have seen together.
type crowd struct {
	start time.Time
	full  chan struct{} // closed when all lists are

	mu     sync.Mutex // guards the fields below
	peers  int
	filled int // lists that are full
	report crowdReport
}

func newCrowd(peers int) *crowd {
	return &crowd{start: time.Now(), full: make(chan struct{}), peers: peers}
}

// follow reads the lists of one peer. As long as no peer ends, lists only grow.
func (c *crowd) follow(lists <-chan []string) {
	var before []string
	for list := range lists {
		c.take(before, list)
		before = list
	}
}

func (c *crowd) take(before, list []string) {
	left := lacks(list, before)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Lists++
	if left {
		c.report.Wrong++
	}
	if len(list) == c.peers && len(before) < c.peers {
		if c.filled++; c.filled == c.peers && c.report.Full == 0 {
			c.report.Full = time.Since(c.start)
			close(c.full)
		}
	}
}

// lacks reports whether a sorted list lacks any of others, which is sorted too.
func lacks(list, others []string) bool {
	for _, name := range others {
		for len(list) > 0 && list[0] < name {
			list = list[1:]
		}
		if len(list) == 0 || list[0] != name {
			return true
		}
	}
	return false
}

// Write records a line of the log.
func (c *crowd) Write(line []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.report.Trouble) < 10 {
		c.report.Trouble = append(c.report.Trouble, string(line))
	}
	return len(line), nil
}

// end returns the report. It leaves out what happens when the peers end.
func (c *crowd) end() crowdReport {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.report
	r.Trouble = slices.Clone(r.Trouble)
	return r
}
