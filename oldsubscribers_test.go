package gopherdiscovery_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/protocol/sub"
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
	scheme, address, _ := strings.Cut(url, "://")
	var marker []byte
	if scheme == "ipc" {
		scheme, marker = "unix", []byte{1}
	}
	c, err := net.Dial(scheme, address)
	if err != nil {
		t.Fatal(err)
	}
	messages := make(chan string, 100)
	ended := make(chan struct{})
	t.Cleanup(func() {
		c.Close()
		<-ended
	})
	if _, err := c.Write(hello(protoSub)); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(ended)
		got := make([]byte, 8)
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, hello(protoPub)) {
			t.Errorf("handshake: got % x, error %v, want % x", got, err, hello(protoPub))
			return
		}
		for {
			head := make([]byte, len(marker)+8)
			if _, err := io.ReadFull(c, head); err != nil {
				return // the test is over
			}
			if !bytes.HasPrefix(head, marker) {
				t.Errorf("got % x before a message, want % x and a length", head, marker)
				return
			}
			body := make([]byte, binary.BigEndian.Uint64(head[len(marker):]))
			if _, err := io.ReadFull(c, body); err != nil {
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
