package gopherdiscovery_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
)

const (
	// muteStrangers is how many connections to each URL are silent.
	muteStrangers = 2500

	// These are the bounds for a server under attack: a goroutine for each of the
	// strangers, some for other connections, and the memory for all of them.
	mostGoroutines = 2*muteStrangers + 4000
	mostMemory     = 96 << 20
)

// connect opens a connection and leaves it open until the test ends.
func connect(t testing.TB, url string, first []byte) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", url[strings.Index(url, "://")+3:])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_, _ = c.Write(first) // may be closed already
	return c
}

// usage is what the process uses.
type usage struct {
	goroutines int
	memory     uint64
}

func measure() usage {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{runtime.NumGoroutine(), m.HeapInuse + m.StackInuse}
}

// expectHealthy checks that a good client can join and leave in the usual time,
// and that the lists hold only good clients.
func expectHealthy(t *testing.T, server *gopherdiscovery.DiscoveryServer, d *gopherdiscovery.Dialer, good ...string) {
	t.Helper()
	survey, pubsub := server.URLs()
	start := time.Now()
	sub, err := d.NewSubscriber(context.Background(), pubsub)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	client, err := d.Client(context.Background(), survey, "visitor")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	all := append(slices.Clone(good), "visitor")
	slices.Sort(all)
	lists := await(t, sub.Changes(), all...)
	if took := time.Since(start); took > usualTime {
		t.Errorf("the visitor was seen after %v, want at most %v", took, usualTime)
	}
	client.Close()
	lists = append(lists, await(t, sub.Changes(), good...)...)
	for _, list := range lists {
		for _, name := range list {
			if !slices.Contains(all, name) {
				t.Errorf("got the list %.100q with a stranger in it", list)
			}
		}
	}
}

// Thousands of connections, plain and TLS, on both URLs never complete a
// handshake.
func TestConnectionsThatNeverShakeHands(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	attacks := map[string][]byte{
		"mute":           nil,
		"half-open":      sptest.Hello(sptest.Respondent)[:3],
		"garbage":        bytes.Repeat([]byte{0xDE, 0xAD}, 500),
		"HTTP":           []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"wrong protocol": sptest.Hello(0x10),
		"TLS":            {22, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3},
		"half TLS":       {22, 3},
		"wrong version":  {0, 'S', 'P', 1, 0, 0x63, 0, 0},
		"not reserved":   {0, 'S', 'P', 0, 0, 0x63, 0, 1},
	}
	a := newAuthority(t)
	secure, d := tlsPair(t, a, "peer")
	secure.Logger, d.Logger = quiet.Logger, quiet.Logger
	for _, test := range []struct {
		url string
		opt gopherdiscovery.Options
		d   *gopherdiscovery.Dialer
	}{{anyPort, quickOptions, quiet}, {anyTLSPort, secure, d}} {
		t.Run(test.url, func(t *testing.T) {
			server := startServerAt(t, test.url, test.url, test.opt)
			survey, pubsub := server.URLs()
			good, err := test.d.Client(context.Background(), survey, "good")
			if err != nil {
				t.Fatal(err)
			}
			defer good.Close()
			expectHealthy(t, server, test.d, "good")
			before := measure()
			const each = 150
			for _, first := range attacks {
				for range each {
					connect(t, survey, first)
					connect(t, pubsub, first)
				}
			}
			for range muteStrangers {
				connect(t, survey, nil)
				connect(t, pubsub, nil)
			}
			for _, url := range []string{survey, pubsub} { // it has accepted them all
				expectClosed(t, "garbage", connect(t, url, attacks["garbage"]))
			}
			expectHealthy(t, server, test.d, "good")
			during := measure()
			if got := during.goroutines - before.goroutines; got > mostGoroutines {
				t.Errorf("%d goroutines more under attack, want at most %d", got, mostGoroutines)
			}
			if got := int64(during.memory) - int64(before.memory); got > mostMemory {
				t.Errorf("%d MiB more under attack, want at most %d", got>>20, mostMemory>>20)
			}
			if server.Stats().Refused < each*5 {
				t.Errorf("got %d refused connections, want most of what says something wrong", server.Stats().Refused)
			}
			good.Close()
			server.Close()
			if left := leftGoroutines(); left != "" {
				t.Errorf("goroutines left behind:\n%.2000s", left)
			}
		})
	}
}

// A connection that sends nothing, or one byte a second, is closed at the
// handshake's deadline.
func TestHandshakeDeadline(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	server := startServer(t, quickOptions)
	survey, pubsub := server.URLs()
	stop := make(chan struct{})
	defer close(stop)
	conns := make(map[string]net.Conn)
	for _, url := range []string{survey, pubsub} {
		conns["mute at "+url] = connect(t, url, nil)
		slow := connect(t, url, nil)
		conns["slow at "+url] = slow
		go func() {
			for _, b := range sptest.Hello(sptest.Respondent) {
				_, _ = slow.Write([]byte{b})
				select {
				case <-time.After(time.Second):
				case <-stop:
					return
				}
			}
		}()
	}
	for name, c := range conns {
		expectClosed(t, name, c)
	}
}

// A client whose server accepts but never answers gives up and tries again.
func TestDialerLeavesAMuteServer(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	logger, book := newLogger()
	d := &gopherdiscovery.Dialer{Logger: logger}
	client, err := d.Client(context.Background(), "tcp://"+mute.Addr().String(), "one")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for range 2 {
		c, err := mute.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	eventually(t, "the log says what was wrong", func() bool {
		return strings.Contains(book.String(), "did not finish the handshake in time")
	})
}

// Respondents that speak the right protocol, but misuse it, do no harm.
func TestHostileRespondents(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	opt := quickOptions
	opt.PollTime = 5 * time.Second // in which a flood is counted
	server := startServer(t, opt)
	survey, _ := server.URLs()
	announce(t, server, "good")
	before := measure()
	respondent := func() sptest.Conn { return sptest.Dial(t, survey, sptest.Respondent, sptest.Surveyor) }
	length := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

	// These messages violate the protocol, and their connections are closed.
	for name, message := range map[string][]byte{
		"a message that is too long":    append(length(4097), make([]byte, 4097)...),
		"a length that is too long":     length(1 << 20),
		"the longest length":            length(1<<64 - 1),
		"a length with the highest bit": length(1 << 63),
	} {
		for range 50 {
			c := respondent()
			_, _ = c.Write(message)
			expectClosed(t, name, c)
		}
	}
	flood := respondent()
	id := flood.MustReceive(t)
	go func() {
		for flood.Send(append(id[:len(id):len(id)], "a|b"...)) == nil {
		}
	}()
	expectClosed(t, "a flood", flood)

	// These answers are only dropped.
	var many []sptest.Conn
	for range 200 {
		many = append(many, respondent())
	}
	for _, c := range many {
		id := c.MustReceive(t)
		for _, body := range [][]byte{
			nil, {1}, id, append(slices.Clone(id), "a|b"...), append(slices.Clone(id), 0xFF),
			append(slices.Clone(id), strings.Repeat("x", 513)...),
			[]byte("\xff\xff\xff\xffwrong id"), []byte("\x00\x00\x00\x01no id"),
		} {
			if err := c.Send(body); err != nil {
				t.Fatal(err)
			}
		}
		// The rest never comes.
		_, _ = c.Write(append(length(100), "truncated"...))
	}
	expectHealthy(t, server, quiet, "good")
	if got, want := server.Stats().Rejected, uint64(len(many)*8); got < want {
		t.Errorf("Stats.Rejected: got %d, want at least %d", got, want)
	}
	if got := int64(measure().memory) - int64(before.memory); got > mostMemory {
		t.Errorf("%d MiB more under attack, want at most %d", got>>20, mostMemory>>20)
	}
}

// One connection cannot fill the list.
func TestTooManyNamesOnOneConnection(t *testing.T) {
	server := startServer(t, quickOptions)
	survey, _ := server.URLs()
	greedy := sptest.Dial(t, survey, sptest.Respondent, sptest.Surveyor)
	id := greedy.MustReceive(t)
	for i := range 5000 {
		if err := greedy.Send(fmt.Appendf(slices.Clone(id), "name%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the names beyond the limit are rejected", func() bool { return server.Stats().Rejected == 5000-4096 })
	eventually(t, "the others are listed", func() bool { return server.Stats().Services == 4096 })
}

// Of a connection with as many names as it may have, any name can be withdrawn.
func TestOneOfManyNamesIsWithdrawn(t *testing.T) {
	opt := quickOptions
	opt.PollTime, opt.SurveyTime = time.Hour, time.Hour // the first survey is the only one
	var withdrawn atomic.Bool
	opt.Authorize = func(name string, _ gopherdiscovery.Conn) error {
		if name == "new" && withdrawn.Load() {
			return errors.New("withdrawn")
		}
		return nil
	}
	server := startServer(t, opt)
	survey, _ := server.URLs()
	c := sptest.Dial(t, survey, sptest.Respondent, sptest.Surveyor)
	id := c.MustReceive(t)
	const most = 4096
	for i := range most {
		if err := c.Send(fmt.Append(id[:len(id):len(id)], i)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all names are listed", func() bool { return server.Stats().Services == most })
	for _, answer := range []string{string(id) + "one too many", "\x80\x00\x00\x007", string(id) + "new"} {
		if err := c.Send([]byte(answer)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "a name takes the place of another", func() bool { return slices.Contains(server.Services(), "new") })
	withdrawn.Store(true)
	if err := c.Send(append(id, "new"...)); err != nil {
		t.Fatal(err)
	}
	expectClosed(t, "the connection whose name is withdrawn", c)
	eventually(t, "the name leaves", func() bool { return !slices.Contains(server.Services(), "new") })
}

// Subscribers that speak the right protocol, but misuse it, do no harm.
func TestHostileSubscribers(t *testing.T) {
	server := startServer(t, quickOptions)
	survey, pubsub := server.URLs()
	talker := sptest.Dial(t, pubsub, sptest.Sub, sptest.Pub)
	if err := talker.Send([]byte("let me in")); err != nil {
		t.Fatal(err)
	}
	expectClosed(t, "a subscriber that talks", talker)
	if got := server.Stats().Rejected; got != 1 {
		t.Errorf("Stats.Rejected: got %d, want 1", got)
	}

	// Many subscribers never read while a long list changes often.
	crowd := sptest.Dial(t, survey, sptest.Respondent, sptest.Surveyor)
	id := crowd.MustReceive(t)
	var names []string
	for i := range 2000 {
		names = append(names, fmt.Sprintf("%04d-%s", i, strings.Repeat("x", 500)))
		if err := crowd.Send(append(slices.Clone(id), names[i]...)); err != nil {
			t.Fatal(err)
		}
	}
	go func() { // answers the polls
		for {
			survey, err := crowd.Receive()
			if err != nil {
				return
			}
			for _, name := range names {
				if crowd.Send(append(slices.Clone(survey), name...)) != nil {
					return
				}
			}
		}
	}()
	eventually(t, "the long list is published", func() bool { return server.Stats().Services == len(names) })
	before := measure()
	for range 300 {
		sptest.Dial(t, pubsub, sptest.Sub, sptest.Pub)
	}
	for range 5 {
		expectHealthy(t, server, quiet, names...)
	}
	// A list is 1 MB. If each of the 300 subscribers held its own, they would
	// take 300 MB.
	if got := int64(measure().memory) - int64(before.memory); got > mostMemory {
		t.Errorf("%d MiB more with subscribers that do not read, want at most %d", got>>20, mostMemory>>20)
	}
}

// The announced length of a list is not trusted: 100 publishers announce 64 MiB
// each and send little.
func TestHostilePublishers(t *testing.T) {
	before := measure()
	for range 100 {
		l := sptest.Listen(t, "tcp://127.0.0.1:0")
		subscribeTo(t, quiet, l.URL)
		c, _ := l.AcceptOnly(t, sptest.Pub, sptest.Sub)
		if _, err := c.Write(append(c.Header(64<<20), "little"...)); err != nil {
			t.Fatal(err)
		}
	}
	if got := int64(measure().memory) - int64(before.memory); got > mostMemory {
		t.Errorf("%d MiB more for lengths, want at most %d", got>>20, mostMemory>>20)
	}
}

// It is the client that closes each connection, and it does not blame the server
// for that.
func TestHostileSurveyors(t *testing.T) {
	t.Parallel()
	logger, book := newLogger()
	l := sptest.Listen(t, "tcp://127.0.0.1:0")
	client, err := (&gopherdiscovery.Dialer{Logger: logger}).Client(context.Background(), l.URL, "a")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for range 5 {
		c, _ := l.AcceptOnly(t, sptest.Surveyor, sptest.Respondent)
		if _, err := c.Write(c.Header(64 << 20)); err != nil {
			t.Fatal(err)
		}
		expectClosed(t, "after a survey that is too long", c)
	}
	if err := client.Servers()[0].LastError; err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("LastError is %v, want that a message was too long", err)
	}
	if got := strings.Count(book.String(), "\n"); got != 1 || !strings.Contains(book.String(), "too long") {
		t.Errorf("logged %d lines, want one:\n%s", got, book)
	}
}

func TestMaxClients(t *testing.T) {
	logger, book := newLogger()
	opt := quickOptions
	opt.MaxClients = 3
	opt.Logger = logger
	server := startServer(t, opt)
	survey, pubsub := server.URLs()
	clients := []*gopherdiscovery.DiscoveryClient{announce(t, server, "a"), announce(t, server, "b"), announce(t, server, "c")}
	eventually(t, "all are listed", func() bool { return server.Stats().Services == 3 })
	sub := subscribe(t, server)
	await(t, sub.Changes(), "a", "b", "c")
	tooMany := connect(t, survey, sptest.Hello(sptest.Respondent))
	expectClosed(t, "one client too many", tooMany)
	for range 2 {
		sptest.Dial(t, pubsub, sptest.Sub, sptest.Pub)
	}
	eventually(t, "the last of those that there is room for has got in", func() bool { return server.Stats().Subscribers == 3 })
	expectClosed(t, "one subscriber too many", connect(t, pubsub, sptest.Hello(sptest.Sub)))
	if got := server.Stats().Refused; got != 2 {
		t.Errorf("Stats.Refused: got %d, want 2", got)
	}
	eventually(t, "the log says why", func() bool { return strings.Contains(book.String(), "MaxClients") })
	// A client that waits outside is let in when another one leaves.
	announce(t, server, "d")
	clients[0].Close()
	await(t, sub.Changes(), "b", "c", "d")
}

// However many connections fail, the log stays short.
func TestLogIsThrottled(t *testing.T) {
	logger, book := newLogger()
	opt := quickOptions
	opt.Logger = logger
	server := startServer(t, opt)
	survey, _ := server.URLs()
	start := time.Now()
	for range 500 {
		connect(t, survey, []byte("GET / HTTP/1.0\r\n\r\n")).Close()
	}
	eventually(t, "all are refused", func() bool { return server.Stats().Refused == 500 })
	if got, most := strings.Count(book.String(), "\n"), 10*(2+int(time.Since(start)/time.Second)); got > most {
		t.Errorf("500 failed handshakes were logged in %d lines, want at most %d", got, most)
	}
}

// The handshakes of TLS and SP share one deadline.
func TestTLSHandshakeDeadline(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	a := newAuthority(t)
	opt := quickOptions
	opt.TLSConfig = &tls.Config{Certificates: []tls.Certificate{a.certificate(t, "server")}}
	server := startServerAt(t, anyTLSPort, anyTLSPort, opt)
	survey, _ := server.URLs()
	half := connect(t, survey, []byte{22, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3})
	silent := tls.Client(connect(t, survey, nil), &tls.Config{RootCAs: a.pool, ServerName: "server"})
	if err := silent.Handshake(); err != nil {
		t.Fatal(err)
	}
	expectClosed(t, "half a TLS handshake", half)
	expectClosed(t, "TLS without SP", silent)
}
