package gopherdiscovery_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/protocol/pub"
	"go.nanomsg.org/mangos/v3/protocol/respondent"
	"go.nanomsg.org/mangos/v3/protocol/sub"
	"go.nanomsg.org/mangos/v3/protocol/surveyor"
	_ "go.nanomsg.org/mangos/v3/transport/ipc"
	_ "go.nanomsg.org/mangos/v3/transport/tcp"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
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
			eventually(t, "our client answers", func() bool {
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
			eventually(t, "our client receives the list", func() bool {
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
				// Surveys a second apart would begin when others end, which hangs
				// nngcat 1.5.2 now and then.
				return []string{"--surveyor", "--listen", url, "--data", "?", "--delay", "1", "--interval", "2", "--quoted"}
			},
			func(url string) []string {
				return []string{"--pub", "--listen", url, "--data", "two|one", "--interval", "1"}
			}},
	} {
		for _, scheme := range []string{"tcp", "ipc"} {
			t.Run(cat.name+"/"+scheme, func(t *testing.T) {
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

// Invalid names never enter a list, whoever sends them, and the log names their
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
	eventually(t, "the list arrives", func() bool {
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
	eventually(t, "it is logged", func() bool { return strings.Contains(book.String(), "invalid names") })
}
