package gopherdiscovery_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/protocol/pub"
	"go.nanomsg.org/mangos/v3/protocol/respondent"
	"go.nanomsg.org/mangos/v3/protocol/sub"
	"go.nanomsg.org/mangos/v3/protocol/surveyor"
	"go.nanomsg.org/mangos/v3/protocol/xpub"
	"go.nanomsg.org/mangos/v3/protocol/xrespondent"
	"go.nanomsg.org/mangos/v3/protocol/xsub"
	"go.nanomsg.org/mangos/v3/protocol/xsurveyor"
	"go.nanomsg.org/mangos/v3/transport"
	"go.nanomsg.org/mangos/v3/transport/inproc"
	_ "go.nanomsg.org/mangos/v3/transport/ipc"
	_ "go.nanomsg.org/mangos/v3/transport/tcp"
)

func TestStockClientWithOurServer(t *testing.T) {
	for _, scheme := range []string{"tcp", "ipc", "inproc"} {
		t.Run(scheme, func(t *testing.T) {
			survey, pubsub := twoURLs(t, scheme)
			server := startServerAt(t, survey, pubsub, quickOptions)
			survey, pubsub = server.URLs()
			client := mangosSocket(t, respondent.NewSocket)
			subscriber := mangosSocket(t, sub.NewSocket)
			if err := subscriber.SetOption(mangos.OptionSubscribe, ""); err != nil {
				t.Fatal(err)
			}
			for sock, url := range map[mangos.Socket]string{client: survey, subscriber: pubsub} {
				if err := sock.Dial(url); err != nil {
					t.Fatal(err)
				}
			}
			// One client stays, so that the others are not all that there are.
			announce(t, server, "another")
			ours := announce(t, server, "ours")
			answerSurveys(client, "stock")
			awaitMessage(t, subscriber, "another|ours|stock")
			ours.Close()
			awaitMessage(t, subscriber, "another|stock")
			client.Close()
			awaitMessage(t, subscriber, "another")
		})
	}
}

func TestOurClientWithStockServer(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"tcp", "ipc", "inproc"} {
		t.Run(scheme, func(t *testing.T) {
			survey, pubsub := twoURLs(t, scheme)
			asker := mangosSocket(t, surveyor.NewSocket)
			publisher := mangosSocket(t, pub.NewSocket)
			survey, pubsub = listenStock(t, asker, survey), listenStock(t, publisher, pubsub)
			client, err := quiet.ClientWithSub(context.Background(), survey, pubsub, "ours")
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			peers, _ := client.Peers()
			var answer []byte
			testmain.Await(t, "our client answers", func() bool {
				if err := asker.Send(nil); err != nil {
					t.Fatal(err)
				}
				answer, err = asker.Recv()
				return err == nil
			})
			if string(answer) != "ours" {
				t.Errorf("answer: got %q, want %q", answer, "ours")
			}
			// Like a server of 2015, this one neither sorts its list nor
			// repeats it, so the list is sent until the subscriber has
			// connected.
			testmain.Await(t, "our client receives the list", func() bool {
				if err := publisher.Send([]byte("two|ours|two")); err != nil {
					t.Fatal(err)
				}
				return len(peers) > 0
			})
			await(t, peers, "ours", "two")
			if err := publisher.Send([]byte("")); err != nil {
				t.Fatal(err)
			}
			await(t, peers)
		})
	}
}

func twoURLs(t *testing.T, scheme string) (survey, pubsub string) {
	switch scheme {
	case "tcp":
		return anyPort, anyPort
	case "ipc":
		dir := t.TempDir()
		return "ipc://" + dir + "/s", "ipc://" + dir + "/p"
	}
	return scheme + "://" + t.Name() + "/s", scheme + "://" + t.Name() + "/p"
}

func answerSurveys(sock mangos.Socket, name string) {
	go func() {
		for {
			if _, err := sock.Recv(); err != nil {
				return
			}
			_ = sock.Send([]byte(name))
		}
	}()
}

func awaitMessage(t *testing.T, sock mangos.Socket, want string) {
	t.Helper()
	if err := sock.SetOption(mangos.OptionRecvDeadline, patience); err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		body, err := sock.Recv()
		if err != nil {
			t.Fatalf("got messages %q, want %q: %v", got, want, err)
		}
		if string(body) == want {
			return
		}
		got = append(got, string(body))
	}
}

// The tests below run the programs of nanomsg and nng, which Debian packages as
// nanomsg-utils and nng-utils.

func TestNanomsgAndNNGPeers(t *testing.T) {
	t.Parallel()
	for _, cat := range []struct {
		name       string
		peer, list func(url string) []string
	}{
		{"nanocat",
			func(url string) []string { return []string{"--respondent", "--connect", url, "--data", "cat"} },
			func(url string) []string { return []string{"--sub", "--connect", url, "--quoted"} }},
		{"nngcat",
			func(url string) []string { return []string{"--respondent", "--dial", url, "--data", "cat"} },
			func(url string) []string { return []string{"--sub", "--dial", url, "--quoted"} }},
	} {
		for _, scheme := range []string{"tcp", "ipc"} {
			t.Run(cat.name+"/"+scheme, func(t *testing.T) {
				t.Parallel()
				survey, pubsub := twoURLs(t, scheme)
				server := startServerAt(t, survey, pubsub, quickOptions)
				survey, pubsub = server.URLs()
				_, peers := join(t, server, "ours")
				await(t, peers, "ours")
				lines, _ := program(t, cat.name, cat.list(pubsub)...)
				awaitLine(t, lines, `"ours"`)
				for range 2 {
					_, kill := program(t, cat.name, cat.peer(survey)...)
					await(t, peers, "cat", "ours")
					awaitLine(t, lines, `"cat|ours"`)
					kill()
					await(t, peers, "ours")
					awaitLine(t, lines, `"ours"`)
				}
				guest := announce(t, server, "guest")
				awaitLine(t, lines, `"guest|ours"`)
				guest.Close()
				awaitLine(t, lines, `"ours"`)
			})
		}
	}
}

func TestNanomsgAndNNGServers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for _, cat := range []struct {
		name         string
		survey, list func(url string) []string
	}{
		{"nanocat",
			func(url string) []string {
				return []string{"--surveyor", "--bind", url, "--data", "?", "--interval", "0.1", "--quoted"}
			},
			func(url string) []string {
				return []string{"--pub", "--bind", url, "--data", "two|one", "--interval", "0.1"}
			}},
		{"nngcat",
			func(url string) []string {
				// Surveys a second apart would begin when others end, which
				// hangs nngcat 1.5.2 now and then.
				return []string{"--surveyor", "--listen", url, "--data", "?", "--delay", "1", "--interval", "2", "--quoted"}
			},
			func(url string) []string {
				return []string{"--pub", "--listen", url, "--data", "two|one", "--interval", "1"}
			}},
	} {
		for _, scheme := range []string{"tcp", "ipc"} {
			t.Run(cat.name+"/"+scheme, func(t *testing.T) {
				t.Parallel()
				survey, pubsub := twoURLs(t, scheme)
				if scheme == "tcp" {
					survey, pubsub = reserve(t), reserve(t)
				}
				client, err := quiet.ClientWithSub(context.Background(), survey, pubsub, "ours")
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				peers, _ := client.Peers()
				program(t, cat.name, cat.list(pubsub)...)
				await(t, peers, "one", "two")
				for range 2 { // killed and started again
					lines, kill := program(t, cat.name, cat.survey(survey)...)
					awaitLine(t, lines, `"ours"`)
					kill()
				}
			})
		}
	}
}

// Invalid names never enter a list, from any sender, and the log names their
// sender once.
func TestInvalidNamesNeverEnterAList(t *testing.T) {
	logger, book := newLogger()
	opt := quickOptions
	opt.Logger = logger
	server := startServer(t, opt)
	survey, _ := server.URLs()
	sub := subscribe(t, server)
	bad := sptest.Dial(t, survey, sptest.Respondent, sptest.Surveyor)
	id := bad.MustReceive(t)
	names := []string{"", "a|b", "line\nbreak", "\x00", "\xff\xfe", "c1\u0085", strings.Repeat("x", 513)}
	for _, name := range names {
		if err := bad.Send(fmt.Appendf(id[:len(id):len(id)], "%s", name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, body := range [][]byte{nil, {0x80}, []byte("\x00\x00\x00\x01name"), []byte("\xff\xff\xff\xffname")} {
		if err := bad.Send(body); err != nil {
			t.Fatal(err)
		}
	}
	if err := bad.Send(append(id, "good"...)); err != nil {
		t.Fatal(err)
	}
	for list := range sub.Changes() {
		if len(list) == 0 {
			continue
		}
		if len(list) != 1 || list[0] != "good" {
			t.Errorf("got list %q, want only the valid name", list)
		}
		break
	}
	if got, want := server.Stats().Rejected, uint64(len(names)+4); got != want {
		t.Errorf("Stats.Rejected: got %d, want %d", got, want)
	}
	server.Close()    // the log is complete now
	const reasons = 7 // control characters are one, and so are surveys that were not sent
	if got := strings.Count(book.String(), "from="+bad.LocalAddr().String()); got != reasons || strings.Count(book.String(), "\n") != reasons {
		t.Errorf("the bad input was logged in %d lines that name the address, want one for each of %d reasons:\n%s", got, reasons, book)
	}
}

func TestInvalidNamesOfAServerAreLeftOut(t *testing.T) {
	publisher := mangosSocket(t, pub.NewSocket)
	url := listenStock(t, publisher, anyPort)
	logger, book := newLogger()
	d := &gopherdiscovery.Dialer{Logger: logger}
	sub, err := d.NewSubscriber(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	testmain.Await(t, "the list arrives", func() bool {
		if err := publisher.Send([]byte("b||\n|a|\xff")); err != nil {
			t.Fatal(err)
		}
		return len(sub.Changes()) > 0
	})
	await(t, sub.Changes(), "a", "b")
	// A message without a valid name does not mean that the list is empty.
	for _, list := range []string{"\xff\x00 temperature 21C", "|", "c"} {
		if err := publisher.Send([]byte(list)); err != nil {
			t.Fatal(err)
		}
	}
	if before := await(t, sub.Changes(), "c"); len(before) != 0 {
		t.Errorf("got %q for messages without a valid name", before)
	}
	testmain.Await(t, "it is logged", func() bool { return strings.Contains(book.String(), "invalid names") })
}

// foreignPublishers do not know changes. Each publishes "two|one" at its URL
// repeatedly until the test ends. The output function returns what it has
// printed.
var foreignPublishers = []struct {
	name  string
	start func(t *testing.T, url string) (bound string, output func() string)
}{
	{"nanocat", func(t *testing.T, url string) (string, func() string) {
		return publishingProgram(t, url, "nanocat", "--pub", "--data", "two|one", "--interval", "0.1", "--bind")
	}},
	{"nngcat", func(t *testing.T, url string) (string, func() string) {
		return publishingProgram(t, url, "nngcat", "--pub", "--data", "two|one", "--interval", "1", "--listen")
	}},
	{"mangos v3", publishWithMangos},
}

func publishingProgram(t *testing.T, url, name string, args ...string) (bound string, output func() string) {
	t.Helper()
	if url == anyPort {
		url = reserve(t)
	}
	stderr := new(logBook)
	lines, _ := programWith(t, stderr, name, append(args, url)...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("stderr of %s: %s", name, stderr)
		}
	})
	return url, func() (all string) {
		for len(lines) > 0 {
			all += <-lines + "\n"
		}
		return all + stderr.String()
	}
}

func publishWithMangos(t *testing.T, url string) (bound string, output func() string) {
	t.Helper()
	publisher := mangosSocket(t, pub.NewSocket)
	bound = listenStock(t, publisher, url)
	go func() {
		for publisher.Send([]byte("two|one")) == nil {
			time.Sleep(20 * time.Millisecond)
		}
	}()
	return bound, func() string { return "" }
}

// witness is an old subscriber that records when each message comes.
type witness struct {
	mu    sync.Mutex // guards heard
	heard []time.Time
}

func newWitness(t *testing.T, url string) *witness {
	t.Helper()
	sock := mangosSocket(t, sub.NewSocket)
	if err := sock.SetOption(mangos.OptionSubscribe, ""); err != nil {
		t.Fatal(err)
	}
	if err := sock.SetOption(mangos.OptionDialAsynch, true); err != nil {
		t.Fatal(err)
	}
	if err := sock.Dial(url); err != nil {
		t.Fatal(err)
	}
	w := new(witness)
	go func() {
		for {
			if _, err := sock.Recv(); err != nil {
				return
			}
			w.mu.Lock()
			w.heard = append(w.heard, time.Now())
			w.mu.Unlock()
		}
	}()
	return w
}

// after returns when the first message after a given time came, or the zero
// time if none has come.
func (w *witness) after(at time.Time) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	i, _ := slices.BinarySearchFunc(w.heard, at, time.Time.Compare)
	if i == len(w.heard) {
		return time.Time{}
	}
	return w.heard[i]
}

// Publishers other than ours refuse changes silently and keep running, and
// serve the subscriber whole lists. TestForms checks that it asks for these at
// once.
func TestForeignPublishersRefuseChanges(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	const (
		promptly = 1500 * time.Millisecond // less than a pause of two seconds
		inTurn   = 20
	)
	for _, publisher := range foreignPublishers {
		for scheme, together := range map[string]int{
			"tcp": 20,
			"ipc": 4, // the backlog of a socket file is 10 in nanomsg
		} {
			t.Run(publisher.name+"/"+scheme, func(t *testing.T) {
				t.Parallel()
				_, url := twoURLs(t, scheme)
				url, output := publisher.start(t, url)
				other := newWitness(t, url)
				testmain.Await(t, "the publisher publishes", func() bool { return !other.after(time.Time{}).IsZero() })

				logger, book := newLogger()
				d := &gopherdiscovery.Dialer{Logger: logger}
				connect := func() *gopherdiscovery.Subscriber {
					t.Helper()
					sub, err := d.NewSubscriber(context.Background(), url)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { sub.Close() })
					return sub
				}
				connected := func(sub *gopherdiscovery.Subscriber) func() bool {
					return func() bool { return sub.Servers()[0].Connected }
				}

				first := connect()
				testmain.Await(t, "the subscriber is connected", connected(first))
				from := time.Now()
				await(t, first.Changes(), "one", "two")
				listed := time.Now()
				if !first.Servers()[0].Complete {
					t.Error("the list is not complete, want it to be: it is whole")
				}
				testmain.Await(t, "the publisher still serves others", func() bool { return !other.after(from).IsZero() })
				late := listed.Sub(other.after(from))
				if late > promptly {
					t.Errorf("the list came %v later than to an old subscriber, want %v at most", late, promptly)
				}

				for range inTurn {
					sub := connect()
					testmain.Await(t, "the subscriber is connected", connected(sub))
					sub.Close()
				}

				var subs []*gopherdiscovery.Subscriber
				for range together {
					subs = append(subs, connect())
				}
				for _, sub := range subs {
					await(t, sub.Changes(), "one", "two")
				}
				from = time.Now()
				testmain.Await(t, "the publisher still serves others", func() bool { return !other.after(from).IsZero() })
				await(t, connect().Changes(), "one", "two")
				if got := output(); got != "" {
					t.Errorf("the publisher has printed %q, want nothing", got)
				}
				if got := book.String(); got != "" {
					t.Errorf("the subscribers have logged %q, want nothing", got)
				}
			})
		}
	}
}

// oldSubscribers know only whole lists. Each connects to a URL, and returns the
// messages that it receives.
var oldSubscribers = []struct {
	name  string
	start func(t *testing.T, url string) <-chan string
}{
	{"nanocat", func(t *testing.T, url string) <-chan string {
		return unquoted(t, "nanocat", "--sub", "--connect", url, "--quoted")
	}},
	{"nngcat", func(t *testing.T, url string) <-chan string {
		return unquoted(t, "nngcat", "--sub", "--dial", url, "--quoted")
	}},
	{"mangos v3", func(t *testing.T, url string) <-chan string {
		sock := mangosSocket(t, sub.NewSocket)
		if err := sock.SetOption(mangos.OptionSubscribe, ""); err != nil {
			t.Fatal(err)
		}
		if err := sock.Dial(url); err != nil {
			t.Fatal(err)
		}
		messages := make(chan string, 100)
		go func() {
			for {
				body, err := sock.Recv()
				if err != nil {
					return
				}
				messages <- string(body)
			}
		}()
		return messages
	}},
	{"by hand", dialByHand},
}

// unquoted runs a program and returns the lines that it prints, without their
// quotes.
func unquoted(t *testing.T, name string, args ...string) <-chan string {
	t.Helper()
	lines, kill := program(t, name, args...)
	messages := make(chan string, 100)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case line := <-lines:
				message, err := strconv.Unquote(line)
				if err != nil {
					message = line
				}
				messages <- message
			case <-done:
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(done)
		kill()
	})
	return messages
}

// dialByHand subscribes, and checks each byte that arrives.
func dialByHand(t *testing.T, url string) <-chan string {
	t.Helper()
	c := sptest.Dial(t, url, sptest.Sub, sptest.Pub)
	messages := make(chan string, 100)
	ended := make(chan struct{})
	t.Cleanup(func() {
		c.Close()
		<-ended
	})
	go func() {
		defer close(ended)
		for {
			body, err := c.Receive()
			if err != nil {
				if !errors.Is(err, net.ErrClosed) && err != io.EOF { // the test is not over
					t.Error(err)
				}
				return
			}
			messages <- string(body)
		}
	}()
	return messages
}

// An old subscriber is sent the list when it connects and when the list
// changes, and nothing else. In the first PollTime of the server it is sent
// nothing.
func TestOldSubscribersAreSentListsOnly(t *testing.T) {
	t.Parallel()
	for _, old := range oldSubscribers {
		for _, scheme := range []string{"tcp", "ipc"} {
			t.Run(old.name+"/"+scheme, func(t *testing.T) {
				t.Parallel()
				survey, pubsub := twoURLs(t, scheme)
				opt := quickOptions
				opt.PollTime = 500 * time.Millisecond
				started := time.Now()
				server := startServerAt(t, survey, pubsub, opt)
				_, pubsub = server.URLs()
				announce(t, server, "ours")
				await(t, subscribe(t, server).Changes(), "ours") // incomplete

				messages := old.start(t, pubsub)
				next := func(want string) {
					t.Helper()
					select {
					case got := <-messages:
						if got != want {
							t.Errorf("got message %q, want %q", got, want)
						}
					case <-time.After(patience):
						t.Fatalf("no message, want %q", want)
					}
				}
				next("ours")
				if up := time.Since(started); up < opt.PollTime {
					t.Errorf("a message came %v after the start, want %v at least", up, opt.PollTime)
				}
				guest := announce(t, server, "guest")
				next("guest|ours")
				guest.Close()
				next("ours")

				// A subscriber that asks for changes is sent a beat every
				// PollTime.
				time.Sleep(2*opt.PollTime + opt.PollTime/2)
				late := old.start(t, pubsub)
				select {
				case got := <-late:
					if got != "ours" {
						t.Errorf("a late subscriber: got message %q, want %q", got, "ours")
					}
				case <-time.After(patience):
					t.Fatal("a late subscriber gets no message")
				}
				guest = announce(t, server, "another")
				next("another|ours")
				guest.Close()
				next("ours")
				if len(messages) > 0 {
					t.Errorf("got message %q without a change", <-messages)
				}
			})
		}
	}
}

// device puts one hop before a URL, and returns the URL to connect to instead.
func device(t *testing.T, toServer, toClients func() (mangos.Socket, error), url string) string {
	t.Helper()
	server, clients := mangosSocket(t, toServer), mangosSocket(t, toClients)
	bound := listenStock(t, clients, anyPort)
	if err := server.Dial(url); err != nil {
		t.Fatal(err)
	}
	if err := mangos.Device(server, clients); err != nil {
		t.Fatal(err)
	}
	return bound
}

// Clients and subscribers work behind one device, and behind two in a row.
func TestDevices(t *testing.T) {
	for hops := 1; hops <= 2; hops++ {
		t.Run(fmt.Sprintf("hops=%d", hops), func(t *testing.T) {
			opt := quickOptions
			// A client behind a device leaves by falling silent.
			opt.SurveyTime = 200 * time.Millisecond
			server := startServer(t, opt)
			survey, pubsub := server.URLs()
			for range hops {
				survey = device(t, xrespondent.NewSocket, xsurveyor.NewSocket, survey)
				pubsub = device(t, xsub.NewSocket, xpub.NewSocket, pubsub)
			}
			one, err := quiet.ClientWithSub(context.Background(), survey, pubsub, "one")
			if err != nil {
				t.Fatal(err)
			}
			defer one.Close()
			peers, _ := one.Peers()
			two, err := quiet.Client(context.Background(), survey, "two")
			if err != nil {
				t.Fatal(err)
			}
			defer two.Close()
			// A device forwards lists but keeps none, so each wait is for a
			// list that a change causes.
			testmain.Await(t, "both are listed", func() bool { return server.Stats().Services == 2 })
			direct := announce(t, server, "direct")
			await(t, peers, "direct", "one", "two")
			two.Close()
			await(t, peers, "direct", "one")
			direct.Close()
			await(t, peers, "one")
		})
	}
}

// ownTransport is a transport that a program has registered with mangos: inproc
// under another name.
type ownTransport struct{}

func init() { transport.RegisterTransport(ownTransport{}) }

func (ownTransport) Scheme() string { return "own" }

func (ownTransport) NewDialer(url string, sock mangos.Socket) (mangos.TranDialer, error) {
	return inproc.Transport.NewDialer(inprocURL(url), sock)
}

func (ownTransport) NewListener(url string, sock mangos.Socket) (mangos.TranListener, error) {
	return inproc.Transport.NewListener(inprocURL(url), sock)
}

func inprocURL(url string) string { return "inproc://" + strings.TrimPrefix(url, "own://") }

// Any other scheme is left to the transport that the program has registered,
// with the same promises.
func TestTransportOfTheProgram(t *testing.T) {
	opt := quickOptions
	opt.MaxClients = 1
	server := startServerAt(t, "own://survey", "own://lists", opt)
	client, peers := join(t, server, "one")
	await(t, peers, "one")
	another, err := quiet.Client(context.Background(), "own://survey", "two")
	if err != nil {
		t.Fatal(err)
	}
	defer another.Close()
	testmain.Await(t, "the one too many is refused", func() bool { return server.Stats().Refused > 0 })
	client.Close()
	awaitClosed(t, peers)
	testmain.Await(t, "it gets in when there is room", func() bool {
		services := server.Services()
		return len(services) == 1 && services[0] == "two"
	})
	another.Close()
	server.Close()
	startServerAt(t, "own://survey", "own://lists", opt).Close()
	if left := leftGoroutines(); left != "" {
		t.Errorf("goroutines left behind:\n%s", left)
	}
}
