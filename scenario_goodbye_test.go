package gopherdiscovery_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
)

const goodbyeID = "\x80\x00\x00\x00"

// A client that is closed answers the survey that no one has sent, with the
// backtrace of the one before, and then ends the connection. It does so although
// the server goes on asking. On a connection on which it was not asked it says
// nothing.
func TestGoodbyeOnTheWire(t *testing.T) {
	for _, test := range []struct{ name, survey, answer, goodbye string }{
		{"asked", "\x80\x00\x00\x01", "\x80\x00\x00\x01bye", goodbyeID + "bye"},
		{"asked through a device", "\x00\x00\x00\x07\x80\x00\x00\x01", "\x00\x00\x00\x07\x80\x00\x00\x01bye", "\x00\x00\x00\x07" + goodbyeID + "bye"},
		{"not asked", "", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := sptest.Listen(t, "tcp://127.0.0.1:0")
			client, err := quiet.Client(context.Background(), l.URL, "bye")
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			server, _ := l.AcceptOnly(t, sptest.Surveyor, sptest.Respondent)
			if test.survey != "" {
				for range 2 {
					if err := server.Send([]byte(test.survey)); err != nil {
						t.Fatal(err)
					}
					if got := server.MustReceive(t); string(got) != test.answer {
						t.Fatalf("answered %q, want %q", got, test.answer)
					}
				}
			}
			client.Cancel()
			var said []byte
			for {
				server.SetReadDeadline(time.Now().Add(patience))
				body, err := server.Receive()
				if err == io.EOF || test.survey == "" {
					break
				}
				if err != nil {
					t.Fatalf("the client has said %q, and then: %v", said, err)
				}
				said = append(said, body...)
				_ = server.Send([]byte(test.survey))
			}
			if string(said) != test.goodbye {
				t.Errorf("said %q, want %q", said, test.goodbye)
			}
			server.Close()
			client.Wait()
		})
	}
}

// A goodbye arrives over every transport. If most clients were lost, the list
// would become incomplete.
func TestGoodbyeOverEachTransport(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"tcp", "tls+tcp", "ipc", "inproc"} {
		t.Run(scheme, func(t *testing.T) {
			opt, dialer := quickOptions, quiet
			survey, pubsub := anyTLSPort, anyTLSPort
			if scheme == "tls+tcp" {
				opt, dialer = tlsPair(t, newAuthority(t), "client")
			} else {
				survey, pubsub = twoURLs(t, scheme)
			}
			server := startServerAt(t, survey, pubsub, opt)
			survey, pubsub = server.URLs()
			sub, err := dialer.NewSubscriber(context.Background(), pubsub)
			if err != nil {
				t.Fatal(err)
			}
			defer sub.Close()
			clients := make(map[string]*gopherdiscovery.DiscoveryClient)
			for i := range 10 {
				name := fmt.Sprint("c", i)
				if clients[name], err = dialer.Client(context.Background(), survey, name); err != nil {
					t.Fatal(err)
				}
				defer clients[name].Close()
			}
			await(t, sub.Changes(), strings.Fields("c0 c1 c2 c3 c4 c5 c6 c7 c8 c9")...)
			eventually(t, "the list is complete", func() bool { return server.Stats().Complete })
			for i := 1; i < 10; i++ {
				clients[fmt.Sprint("c", i)].Cancel()
			}
			await(t, sub.Changes(), "c0")
			if !server.Stats().Complete {
				t.Error("goodbyes count as losses")
			}
		})
	}
}

// A leave is seen at once, although others may follow.
func TestGoodbyeIsSeenAtOnce(t *testing.T) {
	for _, test := range []struct {
		name  string
		leave int
		want  string
	}{
		{"one", 1, ten[3:]},
		{"most", 9, "a9"},
		{"all", 10, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			gopherdiscovery.FakeTime(t, func(t *testing.T) {
				w := newFakeCluster(t)
				w.server(0)
				var clients []*gopherdiscovery.DiscoveryClient
				for i := range 10 {
					clients = append(clients, w.client(fmt.Sprint("a", i), 0))
				}
				time.Sleep(5 * time.Second)
				lists := newRecord(w.subscriber("sub", 0).Changes())
				synctest.Wait()
				lists.expect(t, delivered{0, ten})
				time.Sleep(time.Second)
				for _, client := range clients[:test.leave] {
					client.Cancel()
				}
				for _, client := range clients[:test.leave] {
					client.Wait()
				}
				if got := time.Since(lists.start); got != time.Second {
					t.Errorf("the clients have ended after %v", got-time.Second)
				}
				synctest.Wait()
				lists.mu.Lock()
				defer lists.mu.Unlock()
				if n := len(lists.got); n == 0 || lists.got[n-1] != (delivered{time.Second, test.want}) {
					t.Errorf("delivered %v, want %q at once", lists.got, test.want)
				}
			})
		})
	}
}

// A client that leaves two servers, of which one has hung, says goodbye to the
// other and does not wait for the one that hangs.
func TestGoodbyeToAHungServer(t *testing.T) {
	gopherdiscovery.FakeTime(t, func(t *testing.T) {
		w := newFakeCluster(t)
		w.server(0)
		w.server(1)
		client := w.client("a", 0, 1)
		w.client("b", 0, 1)
		time.Sleep(5 * time.Second)
		lists := newRecord(w.subscriber("sub", 1).Changes())
		w.Freeze("survey0")
		synctest.Wait()
		lists.expect(t, delivered{0, "a b"})
		client.Cancel()
		lists.expect(t, delivered{0, "b"})
		client.Wait()
		if got := time.Since(lists.start); got > 100*time.Millisecond {
			t.Errorf("the client has ended after %v", got)
		}
		w.Thaw("survey0")
	})
}

// Goodbyes and answers on many connections do not mix: a name that was told to
// leave does not come back.
func TestGoodbyeAmongAnswers(t *testing.T) {
	opt := quickOptions
	opt.PollTime = time.Millisecond
	opt.SurveyTime = time.Second
	server := startServer(t, opt)
	sub := subscribe(t, server)
	announce(t, server, "stays")
	await(t, sub.Changes(), "stays")
	for range 100 {
		client := announce(t, server, "goes")
		await(t, sub.Changes(), "goes", "stays")
		client.Close()
		await(t, sub.Changes(), "stays")
	}
	expectNone(t, sub.Changes())
	if got := server.Stats().Rejected; got != 0 {
		t.Errorf("%d messages were rejected", got)
	}
}

// A client that closes soon after it has connected logs nothing.
func TestGoodbyeIsNoOutage(t *testing.T) {
	server := startServer(t, quickOptions)
	survey, _ := server.URLs()
	logger, book := newLogger()
	for range 20 {
		client, err := (&gopherdiscovery.Dialer{Logger: logger}).Client(context.Background(), survey, "a")
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the client is listed", func() bool { return server.Stats().Services == 1 })
		client.Close()
		eventually(t, "the client has left", func() bool { return server.Stats().Services == 0 })
	}
	if got := book.String(); got != "" {
		t.Errorf("logged:\n%s\nwant nothing", got)
	}
}
