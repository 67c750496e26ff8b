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
	"github.com/dahernan/gopherdiscovery/internal/testmain"
	"github.com/dahernan/gopherdiscovery/internal/wiretest"
)

const (
	// muteStrangers is how many connections to each URL are silent.
	muteStrangers = 2500

	// These are the bounds for a server under attack: a goroutine for each of
	// the strangers, some for other connections, and the memory for all of
	// them.
	mostGoroutines = 2*muteStrangers + 3500
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
	testmain.Await(t, "the log says what was wrong", func() bool {
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
	testmain.Await(t, "the names beyond the limit are rejected", func() bool { return server.Stats().Rejected == 5000-4096 })
	testmain.Await(t, "the others are listed", func() bool { return server.Stats().Services == 4096 })
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
	testmain.Await(t, "all names are listed", func() bool { return server.Stats().Services == most })
	for _, answer := range []string{string(id) + "one too many", "\x80\x00\x00\x007", string(id) + "new"} {
		if err := c.Send([]byte(answer)); err != nil {
			t.Fatal(err)
		}
	}
	testmain.Await(t, "a name takes the place of another", func() bool { return slices.Contains(server.Services(), "new") })
	withdrawn.Store(true)
	if err := c.Send(append(id, "new"...)); err != nil {
		t.Fatal(err)
	}
	expectClosed(t, "the connection whose name is withdrawn", c)
	testmain.Await(t, "the name leaves", func() bool { return !slices.Contains(server.Services(), "new") })
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
	testmain.Await(t, "the long list is published", func() bool { return server.Stats().Services == len(names) })
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

// It is the client that closes each connection, and it does not blame the
// server for that.
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
	testmain.Await(t, "all are listed", func() bool { return server.Stats().Services == 3 })
	sub := subscribe(t, server)
	await(t, sub.Changes(), "a", "b", "c")
	tooMany := connect(t, survey, sptest.Hello(sptest.Respondent))
	expectClosed(t, "one client too many", tooMany)
	for range 2 {
		sptest.Dial(t, pubsub, sptest.Sub, sptest.Pub)
	}
	testmain.Await(t, "the last of those that there is room for has got in", func() bool { return server.Stats().Subscribers == 3 })
	expectClosed(t, "one subscriber too many", connect(t, pubsub, sptest.Hello(sptest.Sub)))
	if got := server.Stats().Refused; got != 2 {
		t.Errorf("Stats.Refused: got %d, want 2", got)
	}
	testmain.Await(t, "the log says why", func() bool { return strings.Contains(book.String(), "MaxClients") })
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
	testmain.Await(t, "all are refused", func() bool { return server.Stats().Refused == 500 })
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

// Messages that a later version of the protocol may send are ignored, and the
// connection stays open.
func TestServersOfALaterVersion(t *testing.T) {
	t.Parallel()
	logger, book := newLogger()
	p := newPublisher(t)
	sub := subscribeTo(t, &gopherdiscovery.Dialer{Logger: logger}, p.URL)
	c, _ := p.acceptChanges()
	for _, message := range []string{"\x80", "\x03\x01b|d", "\x80b|c", "\xff\xff\xff", "\x04\x01" + sum("b", "d") + sum("b", "d", "e") + "\x00e"} {
		if err := c.Send([]byte(message)); err != nil {
			t.Fatal(err)
		}
	}
	for _, list := range await(t, sub.Changes(), "b", "d", "e") {
		if !slices.Equal(list, []string{"b", "d"}) {
			t.Errorf("got the list %q", list)
		}
	}
	if book.String() != "" {
		t.Errorf("logged:\n%s\nwant nothing", book)
	}
}

// A subscriber that reconnects says which list it has, and the server continues
// from there.
func TestSubscribersResume(t *testing.T) {
	t.Parallel()
	p := newPublisher(t)
	sub := subscribeTo(t, quiet, p.URL)
	c, _ := p.acceptChanges()
	_ = c.Send([]byte("\x03\x01b|d"))
	await(t, sub.Changes(), "b", "d")
	c.Close()
	c, have := p.acceptChanges()
	if want := "\x02" + sum("b", "d"); have != want {
		t.Errorf("the subscriber says % x, want % x", have, want)
	}
	_ = c.Send([]byte("\x04\x01" + sum("b", "d") + sum("b") + "d\x00"))
	if before := await(t, sub.Changes(), "b"); len(before) > 0 {
		t.Errorf("got the lists %q in between", before)
	}
}

// A subscriber that resumes with the wrong list, which has the same sum as the
// right one, finds out when a change does not fit. It gets the right list,
// still in changes, and the application sees nothing in between.
func TestSubscribersDropTheWrongList(t *testing.T) {
	t.Parallel()
	logger, book := newLogger()
	p := newPublisher(t)
	sub := subscribeTo(t, &gopherdiscovery.Dialer{Logger: logger}, p.URL)
	c, _ := p.acceptChanges()
	_ = c.Send([]byte("\x03\x01a|b"))
	await(t, sub.Changes(), "a", "b")
	c.Close()
	c, have := p.acceptChanges()
	if want := "\x02" + sum("a", "b"); have != want {
		t.Errorf("the subscriber says % x, want % x", have, want)
	}
	_ = c.Send([]byte("\x05\x01" + sum("a", "b")))
	_ = c.Send([]byte("\x04\x01" + sum("a", "b") + sum("a", "b", "d") + "c\x00d"))
	c, have = p.acceptChanges()
	if have != "\x02" {
		t.Errorf("the subscriber says % x, want that it has no list", have)
	}
	_ = c.Send([]byte("\x03\x01d|e"))
	if before := await(t, sub.Changes(), "d", "e"); len(before) > 0 {
		t.Errorf("got the lists %q in between", before)
	}
	if log := book.String(); strings.Contains(log, "connection closed") || strings.Contains(log, "cannot reach") {
		t.Errorf("logged:\n%s\nwant no complaint about the server", log)
	}
}

// The list of a subscriber does not grow without limit, however many changes a
// server sends.
func TestListsThatGrowWithoutEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	before := measure()
	p := newPublisher(t)
	sub := subscribeTo(t, quiet, p.URL)
	c, _ := p.acceptChanges()
	if err := c.Send([]byte("\x03\x00")); err != nil {
		t.Fatal(err)
	}
	const each = 30000 // names of 512 bytes, with a separator
	at, taken := uint64(0), 0
	for i := range 20 {
		var names []string
		for n := range each {
			names = append(names, fmt.Sprintf("%0512d", i*each+n))
		}
		after := at + binary.BigEndian.Uint64([]byte(sum(names...)))
		if c.Send([]byte("\x04\x00"+number(at)+number(after)+"\x00"+strings.Join(names, "|"))) != nil {
			break
		}
		at, taken = after, taken+each*513
	}
	expectClosed(t, "when the list has become too long", c)
	const longest = 64 << 20
	if taken > 2*longest {
		t.Errorf("%d bytes of names were taken, want not much more than %d", taken, longest)
	}
	sub.Close()
	if got := int64(measure().memory) - int64(before.memory); got > 2*longest {
		t.Errorf("%d MiB more for a list that grew, want at most %d", got>>20, 2*longest>>20)
	}
}

// The announced length of a change is not trusted: 100 servers announce 64 MiB
// each and send little.
func TestChangesThatDoNotEnd(t *testing.T) {
	before := measure()
	for range 100 {
		p := newPublisher(t)
		subscribeTo(t, quiet, p.URL)
		c, _ := p.acceptChanges()
		if _, err := c.Write(append(binary.BigEndian.AppendUint64(nil, 64<<20), "\x04\x00little"...)); err != nil {
			t.Fatal(err)
		}
	}
	if got := int64(measure().memory) - int64(before.memory); got > mostMemory {
		t.Errorf("%d MiB more for lengths, want at most %d", got>>20, mostMemory>>20)
	}
}

// A publisher that accepts any subscriber, but does not know changes, is given
// ten seconds to welcome one.
func TestPublishersThatNeverWelcome(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	logger, book := newLogger()
	p := newPublisher(t)
	sub := subscribeTo(t, &gopherdiscovery.Dialer{Logger: logger}, p.URL)
	mute, proto := p.accept()
	if proto != sptest.Changes {
		t.Errorf("the subscriber speaks %#x, want %#x first", proto, sptest.Changes)
	}
	start := time.Now()
	plain, proto := p.accept()
	if took := time.Since(start); proto != sptest.Sub || took < 9*time.Second {
		t.Errorf("after %v the subscriber speaks %#x, want %#x after 10s", took, proto, sptest.Sub)
	}
	expectClosed(t, "the mute one", mute)
	if err := plain.Send([]byte("b|a")); err != nil {
		t.Fatal(err)
	}
	await(t, sub.Changes(), "a", "b")
	if book.String() != "" {
		t.Errorf("logged:\n%s\nwant nothing", book)
	}
}

// A publisher that closes every connection has refused changes if it has said
// hello. Otherwise it is asked for changes again.
func TestPublishersThatCloseEveryConnection(t *testing.T) {
	for _, test := range []struct {
		name   string
		accept func(t *testing.T, nc net.Conn) uint16
		want   []uint16
	}{
		{"after the hellos", func(t *testing.T, nc net.Conn) uint16 { return sptest.Conn{Conn: nc}.MustGreet(t, sptest.Pub) },
			[]uint16{sptest.Changes, sptest.Sub, sptest.Sub, sptest.Sub, sptest.Sub}},
		{"before its hello", func(t *testing.T, nc net.Conn) uint16 {
			var hello [8]byte
			nc.SetReadDeadline(time.Now().Add(patience))
			if _, err := nc.Read(hello[:]); err != nil {
				t.Fatal(err)
			}
			return binary.BigEndian.Uint16(hello[4:])
		}, []uint16{sptest.Changes, sptest.Changes, sptest.Changes, sptest.Changes}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			logger, book := newLogger()
			p := newPublisher(t)
			subscribeTo(t, &gopherdiscovery.Dialer{Logger: logger}, p.URL)
			var got []uint16
			start := time.Now()
			for range test.want {
				nc, err := p.Accept()
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, test.accept(t, nc))
				nc.Close()
			}
			took := time.Since(start)
			if !slices.Equal(got, test.want) {
				t.Errorf("the subscriber speaks %#x, want %#x", got, test.want)
			}
			// The plain form is tried at once. The pauses before the others
			// grow by half from 40 ms, and each is shortened by up to a
			// quarter.
			if least := 75 * (40 + 60 + 90) / 100 * time.Millisecond; took < least {
				t.Errorf("%d attempts in %v, want them to take %v at least", len(got), took, least)
			}
			if got := strings.Count(book.String(), "\n"); got < 1 || got > 2 {
				t.Errorf("logged %d lines, want one for each of at most two reasons:\n%s", got, book)
			}
		})
	}
}

// A proxy whose server is down closes each connection before any hello. That is
// no refusal: once the server is back, its subscribers ask it for changes.
func TestServerComesBackBehindAProxy(t *testing.T) {
	for attempts := range 4 {
		t.Run(fmt.Sprint(attempts, " attempts"), func(t *testing.T) {
			t.Parallel()
			p := newPublisher(t)
			subscribeTo(t, quiet, p.URL)
			for range attempts {
				nc, err := p.Accept()
				if err != nil {
					t.Fatal(err)
				}
				var hello [8]byte
				_, _ = nc.Read(hello[:])
				nc.Close()
			}
			if _, have := p.acceptChanges(); have != "\x02" {
				t.Errorf("got % x, want HAVE", have)
			}
		})
	}
}

// A server that was too busy to shake hands closes the connection late. It is
// asked for changes again. A publisher that closes the connection at once is
// not.
func TestLateRefusalIsNotBelieved(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		// wait is the time before it closes the connection that asks for
		// changes.
		wait time.Duration
		want []uint16
	}{
		{"late", 1200 * time.Millisecond, []uint16{sptest.Changes, sptest.Changes}},
		{"at once", 0, []uint16{sptest.Changes, sptest.Sub}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPublisher(t)
			sub := subscribeTo(t, quiet, p.URL)
			var last sptest.Conn
			for i, want := range test.want {
				c, proto := p.accept()
				if proto != want {
					t.Fatalf("connection %d speaks %#x, want %#x", i, proto, want)
				}
				if i == 0 {
					time.Sleep(test.wait) // the test is about this delay
					c.Close()
				}
				last = c
			}
			list := []byte("a|b")
			if test.wait > 0 {
				if err := last.Send(welcomeBytes); err != nil {
					t.Fatal(err)
				}
				list = append([]byte{3, 1}, list...)
			}
			if err := last.Send(list); err != nil {
				t.Fatal(err)
			}
			await(t, sub.Changes(), "a", "b")
		})
	}
}

// The tests in this file are about subscriptions in changes. They write the
// bytes of one side by hand.

var welcomeBytes = []byte{1, 1, 0, 0, 0x07, 0xD0} // beats every 2 seconds

// number encodes n in 8 bytes, as it is in a message.
func number(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }

// sum returns the sum of a list, as it is in a message.
func sum(names ...string) string { return number(wiretest.Sum(names...)) }

// publisher is a server for one of the library's subscribers. Tests write each
// of its messages by hand.
type publisher struct {
	*sptest.Listener
	t *testing.T
}

func newPublisher(t *testing.T) publisher {
	t.Helper()
	return publisher{sptest.Listen(t, "tcp://127.0.0.1:0"), t}
}

// accept returns the next connection, and the protocol number of its other
// side.
func (p publisher) accept() (sptest.Conn, uint16) {
	p.t.Helper()
	return p.AcceptAs(p.t, sptest.Pub)
}

// acceptChanges accepts a subscriber that asks for changes, and returns its
// HAVE.
func (p publisher) acceptChanges() (c sptest.Conn, have string) {
	p.t.Helper()
	c, proto := p.accept()
	if proto != sptest.Changes {
		p.t.Fatalf("the subscriber speaks %#x, want %#x", proto, sptest.Changes)
	}
	if err := c.Send(welcomeBytes); err != nil {
		p.t.Fatal(err)
	}
	return c, string(c.MustReceive(p.t))
}

func subscribeTo(t testing.TB, d *gopherdiscovery.Dialer, url string) *gopherdiscovery.Subscriber {
	t.Helper()
	sub, err := d.NewSubscriber(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sub.Close() })
	return sub
}

// Whatever is wrong with a message, nothing of it is delivered. The subscriber
// logs once what is wrong, and falls back to whole lists.
func TestHostileServers(t *testing.T) {
	list := "\x03\x01" + "b|d"
	for _, test := range []struct {
		name     string
		messages []string // the last of them is wrong
	}{
		{"a wrong sum before", []string{list, "\x04\x01" + sum("b") + sum("b", "c") + "\x00c"}},
		{"a wrong sum after", []string{list, "\x04\x01" + sum("b", "d") + sum("b") + "\x00c"}},
		{"removed names out of order", []string{list, "\x04\x01" + sum("b", "d") + sum() + "d|b\x00"}},
		{"added names out of order", []string{list, "\x04\x01" + sum("b", "d") + sum("b", "d", "e", "f") + "\x00f|e"}},
		{"a name twice", []string{list, "\x04\x01" + sum("b", "d") + sum("b", "d", "e", "e") + "\x00e|e"}},
		{"an absent name removed", []string{list, "\x04\x01" + sum("b", "d", "c") + sum("b", "d") + "c\x00"}},
		{"a present name added", []string{list, "\x04\x01" + sum("b", "d") + sum("b", "d", "d") + "\x00d"}},
		{"a name removed and added", []string{list, "\x04\x01" + sum("b", "d") + sum("b", "d") + "d\x00d"}},
		{"an invalid name", []string{list, "\x04\x01" + sum("b", "d") + sum("b", "d", "x\ny") + "\x00x\ny"}},
		{"a long name", []string{list, "\x04\x01" + sum("b", "d") + sum("b", "d", strings.Repeat("x", 513)) + "\x00" + strings.Repeat("x", 513)}},
		{"a change cut off", []string{list, ("\x04\x01" + sum("b", "d") + sum("b", "d", "e") + "\x00e")[:18]}},
		{"a list out of order", []string{list, "\x03\x01d|b"}},
		{"a list with an invalid name", []string{list, "\x03\x01b|\xff"}},
		{"a list with an empty name", []string{list, "\x03\x01b|"}},
		{"an unknown flag", []string{list, "\x03\x03b"}},
		{"an unknown kind", []string{list, "\x06\x01"}},
		{"an empty message", []string{list, ""}},
		{"a second WELCOME", []string{list, string(welcomeBytes)}},
		{"a HAVE", []string{list, "\x02"}},
		{"a whole list", []string{list, "b|d|e"}},
		{"a beat of another list", []string{list, "\x05\x01" + sum("b")}},
		{"a short beat", []string{list, "\x05\x01" + sum("b", "d")[1:]}},
		{"a beat without a list", []string{"\x05\x01" + sum()}},
		{"a change without a list", []string{"\x04\x01" + sum() + sum("b") + "\x00b"}},
		{"a message that is too long", []string{list, "too long"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			logger, book := newLogger()
			p := newPublisher(t)
			sub := subscribeTo(t, &gopherdiscovery.Dialer{Logger: logger}, p.URL)
			c, have := p.acceptChanges()
			if have != "\x02" {
				t.Errorf("a new subscriber says % x, want HAVE with nothing", have)
			}
			for _, message := range test.messages {
				bytes := frames(message)
				if message == "too long" {
					bytes = []byte(number(64<<20 + 33))
				}
				if _, err := c.Write(bytes); err != nil {
					t.Fatal(err)
				}
			}
			expectClosed(t, "after "+test.name, c)
			if sub.Servers()[0].LastError == nil {
				t.Error("LastError is nil, want why the connection was closed")
			}
			plain, proto := p.accept()
			if want := uint16(sptest.Sub); proto != want {
				t.Fatalf("the subscriber comes back speaking %#x, want %#x", proto, want)
			}
			if err := plain.Send([]byte("z|y")); err != nil {
				t.Fatal(err)
			}
			before := await(t, sub.Changes(), "y", "z")
			for _, got := range before {
				if !slices.Equal(got, []string{"b", "d"}) {
					t.Errorf("got the list %q", got)
				}
			}
			if got := strings.Count(book.String(), "connection closed"); got != 1 {
				t.Errorf("logged %d times that the connection is closed, want once:\n%s", got, book)
			}
			if got := strings.Count(book.String(), "\n"); got > 1 {
				t.Errorf("logged %d lines, want one:\n%s", got, book)
			}
		})
	}
}

// dialChanges connects as a subscriber that asks for changes, and reads the
// welcome.
func dialChanges(t testing.TB, url string) sptest.Conn {
	t.Helper()
	c := sptest.Dial(t, url, sptest.Changes, sptest.Pub)
	if got := string(c.MustReceive(t)); len(got) != 6 || got[:2] != "\x01\x01" {
		t.Fatalf("the server welcomes with % x", got)
	}
	return c
}

// A subscriber must send one HAVE and nothing else.
func TestSubscribersThatSayTheWrongThing(t *testing.T) {
	t.Parallel()
	have := func(bytes string) []byte { return []byte("\x02" + bytes) }
	for _, test := range []struct {
		name     string
		messages [][]byte
		refused  uint64 // connections refused in the handshake
		rejected uint64 // connections closed later
	}{
		{"no HAVE", nil, 1, 0},
		{"a HAVE of wrong length", [][]byte{have("\x01\x02\x03\x04")}, 1, 0},
		{"a long HAVE", [][]byte{have(sum() + "\x00")}, 1, 0},
		{"a long message", [][]byte{make([]byte, 4097)}, 1, 0},
		{"another kind", [][]byte{[]byte("\x05\x01" + sum())}, 1, 0},
		{"nothing in a message", [][]byte{{}}, 1, 0},
		{"HAVE twice", [][]byte{have(""), have("")}, 0, 1},
		{"more than a HAVE", [][]byte{have(sum()), []byte("and now?")}, 0, 1},
		{"too much more", [][]byte{have(""), make([]byte, 4097)}, 0, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			logger, book := newLogger()
			opt := quickOptions
			opt.Logger = logger
			server := startServer(t, opt)
			_, pubsub := server.URLs()
			c := dialChanges(t, pubsub)
			start := time.Now()
			for _, message := range test.messages {
				if err := c.Send(message); err != nil {
					t.Fatal(err)
				}
			}
			expectClosed(t, test.name, c)
			if took := time.Since(start); test.messages == nil && took < 4*time.Second {
				t.Errorf("closed after %v, want all the time of a handshake", took)
			}
			testmain.Await(t, "the connection is counted", func() bool {
				stats := server.Stats()
				return stats.Refused == test.refused && stats.Rejected == test.rejected && stats.Subscribers == 0
			})
			testmain.Await(t, "one line is logged", func() bool { return strings.Count(book.String(), "\n") == 1 })
			expectHealthy(t, server, quiet)
		})
	}
}

// A subscriber that stops in the middle of its hello or its first message is
// given the time of a handshake and no longer.
func TestSubscribersThatStopHalfway(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	server := startServer(t, quickOptions)
	_, pubsub := server.URLs()
	conns := make(map[string]net.Conn)
	for n := range 8 {
		conns[fmt.Sprintf("%d bytes of a hello", n)] = connect(t, pubsub, sptest.Hello(sptest.Changes)[:n])
	}
	for n := range 9 {
		message := append(binary.BigEndian.AppendUint64(nil, 9), "\x02"+sum()...)
		conns[fmt.Sprintf("%d bytes of a HAVE", 8+n)] = connect(t, pubsub, append(sptest.Hello(sptest.Changes), message[:8+n]...))
	}
	for name, c := range conns {
		expectClosed(t, name, c)
	}
	if got, want := server.Stats().Refused, uint64(len(conns)); got != want {
		t.Errorf("Stats.Refused: got %d, want %d", got, want)
	}
}
