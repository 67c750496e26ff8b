package gopherdiscovery_test

import (
	"errors"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/protocol/sub"

	"github.com/dahernan/gopherdiscovery/internal/sptest"
)

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
