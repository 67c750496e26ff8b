package gopherdiscovery_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/logtest"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/protocol/pub"
)

// The tests in this file are about several servers. Most of them run in fake
// time.

func surveyURL(n int) string { return fmt.Sprintf("inproc://survey%d", n) }
func listsURL(n int) string  { return fmt.Sprintf("inproc://lists%d", n) }

func startNumbered(t *testing.T, n int, opt gopherdiscovery.Options) *gopherdiscovery.DiscoveryServer {
	t.Helper()
	server := startServerAt(t, surveyURL(n), listsURL(n), opt)
	synctest.Wait()
	return server
}

// announceAt starts a client that connects to the servers with the given
// numbers.
func announceAt(t *testing.T, service string, numbers ...int) *gopherdiscovery.DiscoveryClient {
	t.Helper()
	var urls []string
	for _, n := range numbers {
		urls = append(urls, surveyURL(n))
	}
	client, err := quiet.Client(context.Background(), strings.Join(urls, ","), service)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func subscribeAt(t *testing.T, numbers ...int) *gopherdiscovery.Subscriber {
	t.Helper()
	var urls []string
	for _, n := range numbers {
		urls = append(urls, listsURL(n))
	}
	sub, err := quiet.NewSubscriber(context.Background(), strings.Join(urls, ","))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sub.Close() })
	return sub
}

// A dead, restarting or lagging server neither removes a living peer nor causes
// a list without a change.
func TestServersComeAndGo(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		servers := []*gopherdiscovery.DiscoveryServer{startNumbered(t, 0, bubbleOptions), startNumbered(t, 1, bubbleOptions)}
		sub := newRecord(subscribeAt(t, 0, 1).Changes())
		announceAt(t, "a", 0, 1)
		announceAt(t, "b", 0, 1)
		time.Sleep(3 * time.Second)
		sub.expect(t, delivered{2 * time.Second, "a b"})
		for round := range 4 {
			servers[round%2].Close()
			time.Sleep(time.Duration(round) * 700 * time.Millisecond)
			servers[round%2] = startNumbered(t, round%2, bubbleOptions)
			time.Sleep(10 * time.Second)
			sub.expect(t)
		}
		for _, server := range servers {
			server.Close()
		}
		time.Sleep(time.Hour)
		sub.expect(t) // the last list stands
		for n := range servers {
			startNumbered(t, n, bubbleOptions)
		}
		time.Sleep(10 * time.Second)
		sub.expect(t)
	})
}

// A change that all servers see causes one list, although they see it at
// different times.
func TestOneListPerChange(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		slow := bubbleOptions
		slow.JoinInterval = -1 // this one sees joins with its next poll
		startNumbered(t, 0, bubbleOptions)
		startNumbered(t, 1, slow)
		sub := newRecord(subscribeAt(t, 0, 1).Changes())
		announceAt(t, "a", 0, 1)
		time.Sleep(3 * time.Second)
		sub.expect(t, delivered{2 * time.Second, "a"})
		b := announceAt(t, "b", 0, 1)
		sub.expect(t, delivered{3 * time.Second, "a b"})
		time.Sleep(7 * time.Second)
		sub.expect(t)
		b.Close()
		sub.expect(t, delivered{10 * time.Second, "a"})
		time.Sleep(10 * time.Second)
		sub.expect(t)
	})
}

// Clients may be connected to different servers. Each list is their union.
func TestUnionOfServers(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		startNumbered(t, 0, bubbleOptions)
		one := startNumbered(t, 1, bubbleOptions)
		sub := newRecord(subscribeAt(t, 0, 1).Changes())
		announceAt(t, "a", 0)
		announceAt(t, "b", 1)
		announceAt(t, "c", 0, 1)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		sub.mu.Lock()
		if last := sub.got[len(sub.got)-1].list; last != "a b c" {
			t.Errorf("got the list %q, want the union", last)
		}
		sub.got = nil
		sub.mu.Unlock()
		// Names that only a lost server knew are gone when its grace is over,
		// since another server is there.
		one.Close()
		time.Sleep(time.Hour)
		sub.expect(t, delivered{33 * time.Second, "a c"})
	})
}

// mutePublisher is a publisher that accepts connections and sends only what the
// test makes it send.
func mutePublisher(t *testing.T, url string) mangos.Socket {
	t.Helper()
	sock, err := pub.NewSocket()
	if err != nil {
		t.Fatal(err)
	}
	listenStock(t, sock, url)
	t.Cleanup(func() { sock.Close() })
	return sock
}

// Servers of 2015 and nanomsg publishers send a message only when the list
// changes. They are never considered hung.
func TestServerWithoutBeatsKeepsCounting(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		startNumbered(t, 0, bubbleOptions)
		old := mutePublisher(t, listsURL(1))
		sub := newRecord(subscribeAt(t, 0, 1).Changes())
		announceAt(t, "a", 0)
		synctest.Wait()
		for _, list := range []string{"x", "x|y", "x"} {
			if err := old.Send([]byte(list)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second / 2)
		}
		time.Sleep(time.Second)
		sub.expect(t,
			delivered{0, "x"},
			delivered{500 * time.Millisecond, "x y"},
			delivered{1000 * time.Millisecond, "x"},
			delivered{2000 * time.Millisecond, "a x"})
		time.Sleep(24 * time.Hour)
		sub.expect(t)
	})
}

func TestServersStateAndLog(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		logger, book := newLogger()
		d := &gopherdiscovery.Dialer{Logger: logger}
		server := startNumbered(t, 0, bubbleOptions)
		client, err := d.ClientWithSub(context.Background(), surveyURL(0), listsURL(0), "a")
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		time.Sleep(9 * time.Second)
		synctest.Wait()
		start := time.Now().Add(-9 * time.Second)
		want := []gopherdiscovery.ServerState{
			{URL: listsURL(0), Connected: true, Heard: start.Add(2 * time.Second), Complete: true},
			{URL: surveyURL(0), Connected: true, Complete: true, Heard: start.Add(8 * time.Second), Surveyed: start.Add(8 * time.Second)},
		}
		if got := client.Servers(); !slices.Equal(got, want) {
			t.Errorf("Servers: got %+v, want %+v", got, want)
		}
		server.Close()
		time.Sleep(time.Hour)
		for i := range want {
			want[i].Connected, want[i].Complete = false, false
		}
		got := client.Servers()
		for i := range got {
			if !errors.Is(got[i].LastError, mangos.ErrConnRefused) {
				t.Errorf("the last error of %s is %v, want %v", got[i].URL, got[i].LastError, mangos.ErrConnRefused)
			}
			got[i].LastError = nil
		}
		if !slices.Equal(got, want) {
			t.Errorf("Servers without a server: got %+v, want %+v", got, want)
		}
		startNumbered(t, 0, bubbleOptions)
		time.Sleep(10 * time.Second)
		for line, want := range map[string]int{"no server is connected, the last list stands": 1, "there is no list yet": 0, "a server is connected again": 1} {
			if got := strings.Count(book.String(), line); got != want {
				t.Errorf("logged %q %d times, want %d:\n%s", line, got, want, book)
			}
		}
	})
}

func TestLogBeforeTheFirstList(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		logger, book := newLogger()
		d := &gopherdiscovery.Dialer{Logger: logger}
		sub, err := d.NewSubscriber(context.Background(), listsURL(0))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		sub.Close()
		if got := strings.Count(book.String(), "no server is connected, there is no list yet"); got != 1 {
			t.Errorf("logged %d times that there is no list yet, want once:\n%s", got, book)
		}
	})
}

// One server hears none of its clients. They stay on the list, because their
// connections stand.
func TestMassSilenceIsDoubted(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		server := bubbleServer(t, bubbleOptions)
		sub := newRecord(subscribe(t, server).Changes())
		var deaf atomic.Bool
		for i := range 10 {
			sock := silentClient(t)
			go func() {
				for {
					if _, err := sock.Recv(); err != nil {
						return
					}
					if !deaf.Load() {
						_ = sock.Send(fmt.Append(nil, i))
					}
				}
			}()
			synctest.Wait()
			time.Sleep(30 * time.Millisecond)
		}
		time.Sleep(3 * time.Second)
		sub.expect(t, delivered{2 * time.Second, "0 1 2 3 4 5 6 7 8 9"})
		deaf.Store(true)
		// The poll at 4 s is lost.
		time.Sleep(2500 * time.Millisecond)
		deaf.Store(false)
		time.Sleep(time.Hour)
		sub.expect(t)
		if stats := server.Stats(); stats.Doubted != 1 || stats.Missed != 0 {
			t.Errorf("got %d doubted polls and %d missed, want 1 and 0", stats.Doubted, stats.Missed)
		}
	})
}

func TestBadServerLists(t *testing.T) {
	a, b := "tcp://127.0.0.1:40007", "tcp://127.0.0.1:40008"
	for _, urls := range []string{a + ",", "," + a, a + ",,", a + ";" + b, a + "," + a, a + ", " + b, a + ",nosuch://x"} {
		if client, err := gopherdiscovery.Client(urls, "name"); !errors.Is(err, gopherdiscovery.ErrInvalidURL) {
			client.Close()
			t.Errorf("%q: got error %v", urls, err)
		}
	}
	if client, err := gopherdiscovery.ClientWithSub(a+","+b, "tcp://127.0.0.1:40009,"+b, "name"); !errors.Is(err, gopherdiscovery.ErrInvalidURL) {
		client.Close()
		t.Errorf("one address for surveys and lists: got error %v", err)
	}
	if server, err := gopherdiscovery.Server(a+","+b, anyPort, quickOptions); !errors.Is(err, gopherdiscovery.ErrInvalidURL) {
		server.Close()
		t.Errorf("a server on two URLs: got error %v", err)
	}
}

func TestSeveralServersOverTCP(t *testing.T) {
	t.Parallel()
	one, two := startServerAt(t, reserve(t), reserve(t), quickOptions), startServerAt(t, reserve(t), reserve(t), quickOptions)
	surveyOne, listsOne := one.URLs()
	surveyTwo, listsTwo := two.URLs()
	client, err := quiet.ClientWithSub(context.Background(), surveyOne+","+surveyTwo, listsOne+","+listsTwo, "a")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	peers, _ := client.Peers()
	await(t, peers, "a")
	for range 3 {
		one.Close()
		announced := announce(t, two, "b")
		await(t, peers, "a", "b")
		one = startServerAt(t, surveyOne, listsOne, quickOptions)
		announced.Close()
		await(t, peers, "a")
		one, two = two, one
		surveyOne, listsOne, surveyTwo, listsTwo = surveyTwo, listsTwo, surveyOne, listsOne
		testmain.Await(t, "both servers list the client again", func() bool {
			return slices.Contains(one.Services(), "a") && slices.Contains(two.Services(), "a")
		})
	}
}

// The name has several addresses. Only the last one has a server; the first one
// accepts connections and sends nothing.
func TestNameWithSeveralAddresses(t *testing.T) {
	probe, err := net.Listen("tcp", "127.0.0.3:0")
	if err != nil {
		t.Skip(err) // not all systems have the address
	}
	probe.Close()
	server, err := gopherdiscovery.Server("tcp://127.0.0.3:0", "tcp://127.0.0.3:0", gopherdiscovery.Options{PollTime: 50 * time.Millisecond, ReturnTime: 100 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	_, pubsub := server.URLs()
	port := pubsub[strings.LastIndex(pubsub, ":"):]
	mute, err := net.Listen("tcp", "127.0.0.1"+port)
	if err != nil {
		t.Skip("the port is taken at another address")
	}
	defer mute.Close()
	sptest.FakeDNS(t, "127.0.0.1", "127.0.0.2", "127.0.0.3")
	lines := logtest.OpenGate()
	d := &gopherdiscovery.Dialer{Logger: slog.New(lines)}
	sub, err := d.NewSubscriber(t.Context(), "tcp://several.test"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	select {
	case list := <-sub.Changes():
		if len(list) != 0 {
			t.Errorf("got list %q", list)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("no list in time")
	}
	sub.Close()
	if got := strings.Join(lines.Take(), "\n"); strings.Count(got, "several addresses") != 1 || strings.Count(got, "\n") != 0 {
		t.Errorf("logged:\n%s\nwant one line, that the name has several addresses", got)
	}
}

// An old publisher serves one of the addresses of a name, and the other refuses
// connections. The subscriber falls back to the plain form at once and misses
// nothing.
func TestOldPublisherBehindAName(t *testing.T) {
	old, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip(err) // not all systems have the address
	}
	defer old.Close()
	sptest.FakeDNS(t, "127.0.0.3", "127.0.0.2")
	lines := logtest.OpenGate()
	d := &gopherdiscovery.Dialer{Logger: slog.New(lines)}
	port := old.Addr().String()[strings.LastIndex(old.Addr().String(), ":"):]
	sub, err := d.NewSubscriber(t.Context(), "tcp://several.test"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	for _, want := range []byte{0x51, 0x21} {
		c, err := old.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var hello [8]byte
		_, _ = c.Write(sptest.Hello(sptest.Pub))
		if _, err := io.ReadFull(c, hello[:]); err != nil || hello[5] != want {
			t.Fatalf("the subscriber says % x, %v, want protocol % x", hello, err, want)
		}
		if want == 0x51 {
			c.Close()
		} else {
			_, _ = c.Write(append([]byte{0, 0, 0, 0, 0, 0, 0, 3}, "a|b"...))
		}
	}
	if got := <-sub.Changes(); len(got) != 2 {
		t.Errorf("got the list %q, want a and b", got)
	}
	sub.Close()
	if got := lines.Take(); len(got) != 1 || !strings.Contains(got[0], "several addresses") {
		t.Errorf("logged %q, want one line that the name has several addresses", got)
	}
}
