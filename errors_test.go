package gopherdiscovery_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

func TestBadArguments(t *testing.T) {
	var noContext context.Context
	long := strings.Repeat("x", 513)
	good, other := "tcp://127.0.0.1:40007", "tcp://127.0.0.1:40008"
	server := func(survey, pubsub string, opt gopherdiscovery.Options) func() (ender, error) {
		return func() (ender, error) { return gopherdiscovery.Server(survey, pubsub, opt) }
	}
	client := func(survey, service string) func() (ender, error) {
		return func() (ender, error) { return gopherdiscovery.Client(survey, service) }
	}
	withSub := func(survey, pubsub string) func() (ender, error) {
		return func() (ender, error) { return gopherdiscovery.ClientWithSub(survey, pubsub, "name") }
	}
	subscriber := func(url string) func() (ender, error) {
		return func() (ender, error) { return gopherdiscovery.NewSubscriber(context.Background(), url) }
	}
	type test struct {
		call func() (ender, error)
		is   error
		want []string // parts of the message
	}
	tests := []test{
		{server(good, good, gopherdiscovery.Options{}), gopherdiscovery.ErrInvalidURL, []string{"urlPubSub", good, "same"}},
		{server("tcp://*:40007", "tcp://:40007", gopherdiscovery.Options{}), gopherdiscovery.ErrInvalidURL, []string{"same"}},
		{server(good, other, gopherdiscovery.Options{SurveyTime: -1}), gopherdiscovery.ErrInvalidArgument, []string{"Options.SurveyTime", "-1ns"}},
		{server(good, other, gopherdiscovery.Options{RecvDeadline: -time.Second}), gopherdiscovery.ErrInvalidArgument, []string{"Options.RecvDeadline", "-1s"}},
		{server(good, other, gopherdiscovery.Options{PollTime: -time.Hour}), gopherdiscovery.ErrInvalidArgument, []string{"Options.PollTime", "-1h"}},
		{server(good, other, gopherdiscovery.Options{MissedSurveys: -1}), gopherdiscovery.ErrInvalidArgument, []string{"Options.MissedSurveys", "-1"}},
		{withSub(good, good), gopherdiscovery.ErrInvalidURL, []string{"urlPubSub", good, "same"}},
		{client(good, ""), gopherdiscovery.ErrInvalidService, []string{"service", `""`, "empty"}},
		{client(good, long), gopherdiscovery.ErrInvalidService, []string{"service", "xxx", "513"}},
		{client(good, "a|b"), gopherdiscovery.ErrInvalidService, []string{"service", "a|b"}},
		{client(good, "a\nb"), gopherdiscovery.ErrInvalidService, []string{"service", `a\nb`, "control"}},
		{client(good, "\xff"), gopherdiscovery.ErrInvalidService, []string{"service", `\xff`, "UTF-8"}},
		{func() (ender, error) { return gopherdiscovery.NewSubscriber(noContext, good) }, gopherdiscovery.ErrInvalidArgument, []string{"ctx"}},
		{func() (ender, error) { return quiet.Client(noContext, good, "name") }, gopherdiscovery.ErrInvalidArgument, []string{"ctx"}},
		{func() (ender, error) { return gopherdiscovery.ServerContext(noContext, good, other, quickOptions) }, gopherdiscovery.ErrInvalidArgument, []string{"ctx"}},
		{client("tcp://127.0.0.1:0", "name"), gopherdiscovery.ErrInvalidURL, []string{"urlServer", "port"}},
		{subscriber("tcp://*:40007"), gopherdiscovery.ErrInvalidURL, []string{"url", "host"}},
	}
	for _, url := range []string{
		"", "tcp", "tcp:", "tcp://", "tcp:/127.0.0.1:40007", "127.0.0.1:40007", "://", "://127.0.0.1:40007", "tcp://127.0.0.1",
		"tcp://127.0.0.1:", "tcp://127.0.0.1:-1", "tcp://127.0.0.1:65536", "tcp://127.0.0.1:http", "tcp://127.0.0.1:80/", "tcp://::1:80",
		"tcp://a b:80", "tcp://a/b:80", "tcp://u@h:80", "tcp://[::1:80", "udp://127.0.0.1:80", "TCP://127.0.0.1:80", "nosuch://x",
		"gopherdiscovery://tcp://127.0.0.1:80", "ipc://", "inproc://", "ipc:///tmp/" + strings.Repeat("x", 200), "ipc:///a\x00b",
	} {
		tests = append(tests,
			test{server(url, good, quickOptions), gopherdiscovery.ErrInvalidURL, []string{"urlServer"}},
			test{server(good, url, quickOptions), gopherdiscovery.ErrInvalidURL, []string{"urlPubSub"}},
			test{client(url, "name"), gopherdiscovery.ErrInvalidURL, []string{"urlServer"}},
			test{withSub(url, good), gopherdiscovery.ErrInvalidURL, []string{"urlServer"}},
			test{withSub(good, url), gopherdiscovery.ErrInvalidURL, []string{"urlPubSub"}},
			test{subscriber(url), gopherdiscovery.ErrInvalidURL, []string{"url"}})
	}
	for _, test := range tests {
		e, err := test.call()
		if err == nil {
			e.Close()
			t.Errorf("got no error, want one with %q", test.want)
			continue
		}
		if !errors.Is(err, test.is) || !strings.HasPrefix(err.Error(), "gopherdiscovery: ") {
			t.Errorf("got error %q, want one that is %q", err, test.is)
		}
		for _, part := range test.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("got error %q, want it to name %q", err, part)
			}
		}
	}
	if left := leftGoroutines(); left != "" {
		t.Errorf("bad arguments left goroutines:\n%s", left)
	}
}
