package gopherdiscovery_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// orNil keeps a nil pointer from becoming a non-nil ender.
func orNil[E interface {
	comparable
	ender
}](e E, err error) (ender, error) {
	var none E
	if e == none {
		return nil, err
	}
	return e, err
}

// A constructor that refuses an argument says which one and why, and leaves
// nothing behind.
func TestBadArguments(t *testing.T) {
	var noContext context.Context
	long := strings.Repeat("x", 513)
	good, other := "tcp://127.0.0.1:40007", "tcp://127.0.0.1:40008"
	server := func(survey, pubsub string, opt gopherdiscovery.Options) func() (ender, error) {
		return func() (ender, error) { return orNil(gopherdiscovery.Server(survey, pubsub, opt)) }
	}
	client := func(survey, service string) func() (ender, error) {
		return func() (ender, error) { return orNil(gopherdiscovery.Client(survey, service)) }
	}
	withSub := func(survey, pubsub string) func() (ender, error) {
		return func() (ender, error) { return orNil(gopherdiscovery.ClientWithSub(survey, pubsub, "name")) }
	}
	subscriber := func(url string) func() (ender, error) {
		return func() (ender, error) { return orNil(gopherdiscovery.NewSubscriber(context.Background(), url)) }
	}
	type test struct {
		name string
		call func() (ender, error)
		is   error
		want []string // parts of the message
	}
	tests := []test{
		{"server with one URL twice", server(good, good, gopherdiscovery.Options{}),
			gopherdiscovery.ErrInvalidURL, []string{"urlPubSub", good, "same"}},
		{"server with one URL written in two ways", server("tcp://*:40007", "tcp://:40007", gopherdiscovery.Options{}),
			gopherdiscovery.ErrInvalidURL, []string{"same"}},
		{"negative SurveyTime", server(good, other, gopherdiscovery.Options{SurveyTime: -1}),
			gopherdiscovery.ErrInvalidArgument, []string{"Options.SurveyTime", "-1ns"}},
		{"negative RecvDeadline", server(good, other, gopherdiscovery.Options{RecvDeadline: -time.Second}),
			gopherdiscovery.ErrInvalidArgument, []string{"Options.RecvDeadline", "-1s"}},
		{"negative PollTime", server(good, other, gopherdiscovery.Options{PollTime: -time.Hour}),
			gopherdiscovery.ErrInvalidArgument, []string{"Options.PollTime", "-1h"}},
		{"PollTime without a unit", server(good, other, gopherdiscovery.Options{PollTime: 5}),
			gopherdiscovery.ErrInvalidArgument, []string{"Options.PollTime", "5ns", "unit"}},
		{"SurveyTime without a unit", server(good, other, gopherdiscovery.Options{SurveyTime: 1}),
			gopherdiscovery.ErrInvalidArgument, []string{"Options.SurveyTime", "1ns", "unit"}},
		{"RecvDeadline without a unit", server(good, other, gopherdiscovery.Options{RecvDeadline: time.Millisecond - 1}),
			gopherdiscovery.ErrInvalidArgument, []string{"Options.RecvDeadline", "999.999µs", "unit"}},
		{"ReturnTime without a unit", server(good, other, gopherdiscovery.Options{ReturnTime: 30}),
			gopherdiscovery.ErrInvalidArgument, []string{"Options.ReturnTime", "30ns", "unit"}},
		{"JoinInterval without a unit", server(good, other, gopherdiscovery.Options{JoinInterval: 20}),
			gopherdiscovery.ErrInvalidArgument, []string{"Options.JoinInterval", "20ns", "unit"}},
		{"negative MissedSurveys", server(good, other, gopherdiscovery.Options{MissedSurveys: -1}),
			gopherdiscovery.ErrInvalidArgument, []string{"Options.MissedSurveys", "-1"}},
		{"negative MaxClients", server(good, other, gopherdiscovery.Options{MaxClients: -1}),
			gopherdiscovery.ErrInvalidArgument, []string{"Options.MaxClients", "-1"}},
		{"client with one URL twice", withSub(good, good),
			gopherdiscovery.ErrInvalidURL, []string{"urlPubSub", good, "same"}},
		{"empty service", client(good, ""), gopherdiscovery.ErrInvalidService, []string{"service", `""`, "empty"}},
		{"long service", client(good, long), gopherdiscovery.ErrInvalidService, []string{"service", "xxx", "513"}},
		{"service with a separator", client(good, "a|b"), gopherdiscovery.ErrInvalidService, []string{"service", "a|b"}},
		{"service with a control character", client(good, "a\nb"),
			gopherdiscovery.ErrInvalidService, []string{"service", `a\nb`, "control"}},
		{"service that is not UTF-8", client(good, "\xff"),
			gopherdiscovery.ErrInvalidService, []string{"service", `\xff`, "UTF-8"}},
		{"subscriber without a context",
			func() (ender, error) { return orNil(gopherdiscovery.NewSubscriber(noContext, good)) },
			gopherdiscovery.ErrInvalidArgument, []string{"ctx"}},
		{"client without a context",
			func() (ender, error) { return orNil(quiet.Client(noContext, good, "name")) },
			gopherdiscovery.ErrInvalidArgument, []string{"ctx"}},
		{"server without a context",
			func() (ender, error) {
				return orNil(gopherdiscovery.ServerContext(noContext, good, other, quickOptions))
			},
			gopherdiscovery.ErrInvalidArgument, []string{"ctx"}},
		{"client of port 0", client("tcp://127.0.0.1:0", "name"),
			gopherdiscovery.ErrInvalidURL, []string{"urlServer", "port"}},
		{"subscriber of any host", subscriber("tcp://*:40007"),
			gopherdiscovery.ErrInvalidURL, []string{"url", "host"}},
	}
	for _, url := range []string{
		"", "tcp", "tcp:", "tcp://", "tcp:/127.0.0.1:40007", "127.0.0.1:40007", "://", "://127.0.0.1:40007", "tcp://127.0.0.1",
		"tcp://127.0.0.1:", "tcp://127.0.0.1:-1", "tcp://127.0.0.1:65536", "tcp://127.0.0.1:http", "tcp://127.0.0.1:80/", "tcp://::1:80",
		"tcp://a b:80", "tcp://a/b:80", "tcp://u@h:80", "tcp://[::1:80", "udp://127.0.0.1:80", "TCP://127.0.0.1:80", "nosuch://x",
		"gopherdiscovery://tcp://127.0.0.1:80", "ipc://", "inproc://", "ipc:///tmp/" + strings.Repeat("x", 200), "ipc:///a\x00b",
	} {
		name := func(arg string) string { return fmt.Sprintf("%s %.50q", arg, url) }
		tests = append(tests,
			test{name("server urlServer"), server(url, good, quickOptions), gopherdiscovery.ErrInvalidURL, []string{"urlServer"}},
			test{name("server urlPubSub"), server(good, url, quickOptions), gopherdiscovery.ErrInvalidURL, []string{"urlPubSub"}},
			test{name("client urlServer"), client(url, "name"), gopherdiscovery.ErrInvalidURL, []string{"urlServer"}},
			test{name("client with subscription urlServer"), withSub(url, good), gopherdiscovery.ErrInvalidURL, []string{"urlServer"}},
			test{name("client with subscription urlPubSub"), withSub(good, url), gopherdiscovery.ErrInvalidURL, []string{"urlPubSub"}},
			test{name("subscriber url"), subscriber(url), gopherdiscovery.ErrInvalidURL, []string{"url"}})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e, err := test.call()
			if e != nil {
				defer e.Close()
				t.Errorf("got a %T, want only an error", e)
			}
			if err == nil {
				t.Fatalf("got no error, want one with %q", test.want)
			}
			if !errors.Is(err, test.is) || !strings.HasPrefix(err.Error(), "gopherdiscovery: ") {
				t.Errorf("got error %q, want one that is %q", err, test.is)
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("got error %q, want it to name %q", err, part)
				}
			}
		})
	}
	if left := leftGoroutines(); left != "" {
		t.Errorf("bad arguments left goroutines:\n%s", left)
	}
}
