//go:build unix

package gopherdiscovery_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// dialIPC connects as a subscriber over ipc, where the system buffers less than
// a list for a slow reader. If it asks for changes it has no list.
func dialIPC(t *testing.T, path string, proto uint16) sptest.Conn {
	t.Helper()
	c := sptest.Dial(t, "ipc://"+path, proto, sptest.Pub)
	if proto == sptest.Changes {
		c.MustReceive(t)
		c.MustSend(t, "\x02")
	}
	return c
}

// fill lists many long names on one connection, and returns them. They stay
// until the test ends.
func fill(t *testing.T, server *gopherdiscovery.DiscoveryServer) []string {
	t.Helper()
	survey, _ := server.URLs()
	crowd := sptest.Dial(t, survey, sptest.Respondent, sptest.Surveyor)
	var names []string
	for i := range 600 {
		names = append(names, fmt.Sprintf("%04d-%s", i, strings.Repeat("x", 500)))
	}
	answer := func(id []byte) (err error) {
		for i := 0; i < len(names) && err == nil; i++ {
			err = crowd.Send(append(slices.Clone(id), names[i]...))
		}
		return err
	}
	if err := answer(crowd.MustReceive(t)); err != nil {
		t.Fatal(err)
	}
	go func() { // answers the polls
		for {
			id, err := crowd.Receive()
			if err != nil || answer(id) != nil {
				return
			}
		}
	}()
	testmain.Await(t, "the long list is published", func() bool {
		stats := server.Stats()
		return stats.Services == len(names) && stats.Complete
	})
	return names
}

// A subscriber that does not read delays no one. When it reads again, it is
// sent what it lacks in one message, however much has changed meanwhile.
func TestSubscribersThatDoNotRead(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for _, test := range []struct {
		name   string
		rounds int // each publishes two lists
		kind   byte
	}{
		{"for some changes", 20, 4},
		{"for more changes than are kept", 130, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			opt := quickOptions
			opt.PollTime, opt.JoinInterval = 200*time.Millisecond, time.Millisecond
			path := t.TempDir() + "/lists"
			server := startServerAt(t, anyPort, "ipc://"+path, opt)
			survey, _ := server.URLs()
			crowd := fill(t, server)
			slow := dialIPC(t, path, sptest.Changes)
			sub := subscribe(t, server)
			await(t, sub.Changes(), crowd...)
			testmain.Await(t, "both subscribers are there", func() bool { return server.Stats().Subscribers == 2 })
			before := measure()
			var want []string
			for i := range test.rounds {
				name := fmt.Sprintf("visitor%03d", i)
				want = append(slices.Clone(crowd), name)
				start := time.Now()
				visitor := sptest.Dial(t, survey, sptest.Respondent, sptest.Surveyor)
				if err := visitor.Send(append(visitor.MustReceive(t), name...)); err != nil {
					t.Fatal(err)
				}
				await(t, sub.Changes(), want...)
				if took := time.Since(start); took > usualTime {
					t.Errorf("the visitor was seen after %v, want at most %v", took, usualTime)
				}
				if i < test.rounds-1 {
					if err := visitor.Send(append([]byte(goodbyeID), name...)); err != nil {
						t.Fatal(err)
					}
					visitor.Close()
					await(t, sub.Changes(), crowd...)
				}
			}
			if got := int64(measure().memory) - int64(before.memory); got > mostMemory {
				t.Errorf("%d MiB more with a subscriber that does not read, want at most %d", got>>20, mostMemory>>20)
			}
			first := string(slow.MustReceive(t))
			if got := first[:2]; got != "\x03\x01" || first[2:] != strings.Join(crowd, "|") {
				t.Errorf("the first message is of %d bytes and begins with % x, want the list", len(first), got)
			}
			second := string(slow.MustReceive(t))
			switch {
			case second[0] != test.kind:
				t.Errorf("the second message is of kind %d and %d bytes, want kind %d", second[0], len(second), test.kind)
			case test.kind == 3 && second != "\x03\x01"+strings.Join(want, "|"):
				t.Error("the second message is not the list as it is now")
			case test.kind == 4 && second != "\x04\x01"+sum(crowd...)+sum(want...)+"\x00"+want[len(crowd)]:
				t.Errorf("the second message is %q, want the visitor that has stayed", second)
			}
			if third := string(slow.MustReceive(t)); third != "\x05\x01"+sum(want...) {
				t.Errorf("the third message is of %d bytes and begins with % x, want a beat", len(third), third[:2])
			}
		})
	}
}

// Strangers subscribe in both forms and read nothing, while a name comes and
// goes between them. What is kept for all of them is bounded, and a subscriber
// that reads notices nothing.
func TestManySubscribersThatDoNotRead(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	logger, book := newLogger()
	opt := quickOptions
	opt.PollTime, opt.JoinInterval, opt.Logger = time.Second, time.Millisecond, logger
	path := t.TempDir() + "/lists"
	server := startServerAt(t, anyPort, "ipc://"+path, opt)
	crowd := fill(t, server)
	sub := subscribe(t, server)
	await(t, sub.Changes(), crowd...)
	before := measure()
	const strangers = 200
	for i := range strangers {
		name := fmt.Sprintf("visitor%03d", i)
		visitor := announce(t, server, name)
		await(t, sub.Changes(), append(slices.Clone(crowd), name)...)
		c := dialIPC(t, path, []uint16{sptest.Sub, sptest.Changes}[i%2])
		// The list is on its way when its length has come.
		c.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.ReadFull(c, make([]byte, 9)); err != nil {
			t.Fatal(err)
		}
		visitor.Close()
		await(t, sub.Changes(), crowd...)
	}
	if got := int64(measure().memory) - int64(before.memory); got > mostMemory/3 {
		t.Errorf("%d MiB more with %d subscribers that do not read, want at most %d", got>>20, strangers, mostMemory/3>>20)
	}
	// All lists together have 59 MiB.
	if got := server.Stats().Rejected; got < strangers/2 || got > strangers-20 {
		t.Errorf("%d of %d connections were closed, want those that are slowest", got, strangers)
	}
	if got := strings.Count(book.String(), "reads too slowly"); got != 1 {
		t.Errorf("logged %d times that a subscriber reads too slowly, want once:\n%.1000s", got, book)
	}
	expectHealthy(t, server, quiet, crowd...)
}
