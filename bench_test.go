//go:build unix

package gopherdiscovery_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
)

// readmeOptions are the defaults, written out.
var readmeOptions = gopherdiscovery.Options{
	SurveyTime:   1 * time.Second,
	RecvDeadline: 1 * time.Second,
	PollTime:     2 * time.Second,
}

// joinPause is longer than the default JoinInterval, so that each join is on
// its own.
const joinPause = 30 * time.Millisecond

// BenchmarkJoin measures the time from the call of Client until all peers have
// received the list with the newcomer.
func BenchmarkJoin(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, c *crowd) {
		var joins durations
		for b.Loop() {
			time.Sleep(joinPause)
			start := time.Now()
			newcomer, err := gopherdiscovery.Client(c.survey, "newcomer")
			if err != nil {
				b.Fatal(err)
			}
			c.await(b, c.size+1)
			joins = append(joins, time.Since(start))
			newcomer.Close()
			c.await(b, c.size)
		}
		joins.report(b)
	})
}

// BenchmarkLeave measures the time from the call of Cancel until all peers have
// received the list without the client.
func BenchmarkLeave(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, c *crowd) {
		var leaves durations
		for b.Loop() {
			leaver, err := gopherdiscovery.Client(c.survey, "leaver")
			if err != nil {
				b.Fatal(err)
			}
			c.await(b, c.size+1)
			start := time.Now()
			leaver.Cancel()
			c.await(b, c.size)
			leaves = append(leaves, time.Since(start))
			leaver.Wait()
		}
		leaves.report(b)
	})
}

// BenchmarkKill measures the time from the end of a client's connection until
// all peers have received the list without the client. The end of the
// connection is all that a server sees of a SIGKILL.
func BenchmarkKill(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, c *crowd) {
		var leaves durations
		for b.Loop() {
			victim := sptest.Dial(b, c.survey, sptest.Respondent, sptest.Surveyor)
			go victim.Answer("victim")
			c.await(b, c.size+1)
			start := time.Now()
			victim.Close()
			c.await(b, c.size)
			leaves = append(leaves, time.Since(start))
		}
		leaves.report(b)
	})
}

// BenchmarkIdle measures the processor time that 1000 clients, their
// subscribers and their server use while nothing changes.
func BenchmarkIdle(b *testing.B) {
	c := newCrowd(b, 1000)
	const window = 6 * time.Second
	var used, passed time.Duration
	for b.Loop() {
		start, before := time.Now(), processorTime(b)
		time.Sleep(window)
		used += processorTime(b) - before
		passed += time.Since(start)
	}
	perClient := used.Seconds() * 1000 / passed.Seconds() / float64(c.size)
	b.ReportMetric(perClient, "cpu-ms/s/client")
	b.ReportMetric(0, "ns/op")
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func benchmarkSizes(b *testing.B, run func(*testing.B, *crowd)) {
	for _, size := range []int{50, 1000} {
		b.Run(fmt.Sprintf("peers=%d", size), func(b *testing.B) {
			run(b, newCrowd(b, size))
		})
	}
}

// crowd is a server with many peers that all read their lists.
type crowd struct {
	size   int
	survey string
	seen   chan int // the length of each list that a peer receives
}

func newCrowd(b *testing.B, size int) *crowd {
	b.Helper()
	server, err := gopherdiscovery.Server("tcp://127.0.0.1:0", "tcp://127.0.0.1:0", readmeOptions)
	if err != nil {
		b.Fatal(err)
	}
	survey, pubsub := server.URLs()
	c := &crowd{size: size, survey: survey, seen: make(chan int, size)}
	clients := make([]*gopherdiscovery.DiscoveryClient, size)
	for i := range clients {
		if clients[i], err = gopherdiscovery.ClientWithSub(survey, pubsub, fmt.Sprintf("http://10.0.%d.%d:8080", i/250, i%250)); err != nil {
			b.Fatal(err)
		}
		peers, err := clients[i].Peers()
		if err != nil {
			b.Fatal(err)
		}
		go func() {
			for list := range peers {
				c.seen <- len(list)
			}
		}()
	}
	c.await(b, size)
	b.Cleanup(func() {
		for _, client := range clients {
			client.Cancel()
		}
		server.Cancel()
		for _, client := range clients {
			client.Wait()
		}
		server.Wait()
	})
	return c
}

// await returns when every peer has received a list of this length.
func (c *crowd) await(b *testing.B, length int) {
	b.Helper()
	timeout := time.After(30 * time.Second)
	for missing := c.size; missing > 0; {
		select {
		case n := <-c.seen:
			if n == length {
				missing--
			}
		case <-timeout:
			b.Fatalf("%d of %d peers have not received a list of %d", missing, c.size, length)
		}
	}
}

type durations []time.Duration

func (d durations) report(b *testing.B) {
	slices.Sort(d)
	for _, p := range []int{50, 95, 99} {
		at := d[min(len(d)*p/100, len(d)-1)]
		b.ReportMetric(float64(at.Microseconds())/1000, fmt.Sprintf("p%d-ms", p))
	}
	b.ReportMetric(0, "ns/op")
}
