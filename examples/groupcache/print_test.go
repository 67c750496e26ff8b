//go:build unix

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

// A cache whose output no one reads still follows the list, and prints the
// newest one when someone reads.
func TestStdoutThatNobodyReads(t *testing.T) {
	// startProcess starts the program, not its tests.
	t.Setenv("GOPHERDISCOVERY_TEST_PROGRAM", "child")
	p := newPool(t, 0)
	urlServer, urlPubSub := p.server.URLs()
	// The end of ctx ends the cache, and with it line.
	ctx, cancel := context.WithTimeout(t.Context(), 2*clitest.Patience)
	defer cancel()
	c, err := startProcess(ctx, "-server", urlServer, "-pubsub", urlPubSub, "-http", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.leave(); err != nil {
			t.Error(err)
		}
	}()
	peers := []string{c.url}
	const pipe = 64 << 10 // how many bytes fit into one
	for printed := 0; printed < 3*pipe; {
		name := fmt.Sprintf("http://%s-%d", strings.Repeat("x", 450), len(peers))
		peers = append(peers, name)
		slices.Sort(peers)
		sets := p.stats(c.url).Sets
		clitest.Join(t, clitest.Quiet, urlServer, name)
		deadline := time.After(clitest.Patience)
		for p.stats(c.url).Sets == sets {
			select {
			case <-time.After(time.Millisecond):
			case <-deadline:
				t.Fatalf("no new list in %v, after %d bytes of output", clitest.Patience, printed)
			}
		}
		printed += len(strings.Join(peers, " "))
	}
	want := "peers: " + strings.Join(peers, " ")
	for line := ""; line != want; {
		if line, err = c.line(); err != nil {
			t.Fatalf("reading on: %v, want a line with all peers", err)
		}
	}
}
