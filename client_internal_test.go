package gopherdiscovery

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/logtest"
	"github.com/dahernan/gopherdiscovery/internal/sp"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// The answer begins with the survey's header, including what devices have put
// before the id. The rest of the survey is not sent back.
func TestClientAnswers(t *testing.T) {
	for _, test := range []struct{ name, survey, want string }{
		{"survey", "\x80\x00\x00\x01", "\x80\x00\x00\x01name"},
		{"survey with a body", "\x80\x00\x00\x02body", "\x80\x00\x00\x02name"},
		{"survey that has passed a device", "\x00\x00\x00\x07\xff\x00\x00\x03", "\x00\x00\x00\x07\xff\x00\x00\x03name"},
	} {
		t.Run(test.name, func(t *testing.T) {
			core := sptest.NewFakePipe()
			client := newFakeClient(quietSettings)
			registration := sp.NewPipe(core, client.sock, nil).Session()
			registration.Began()
			defer registration.Ended()
			survey := []byte(test.survey)
			for range 2 {
				if err := registration.Received(survey); err != nil {
					t.Errorf("got error %v", err)
				}
			}
			if got, want := core.Take(), []string{test.want, test.want}; !slices.Equal(got, want) {
				t.Errorf("answered %q, want %q", got, want)
			}
			if string(survey) != test.survey {
				t.Errorf("the survey, which is not ours, is now %q", survey)
			}
		})
	}
}

// Messages that are not surveys are logged once for each reason, and later
// surveys are still answered.
func TestClientDropsWhatIsNoSurvey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, lines := sptest.NewFakePipe(), logtest.OpenGate()
		client := newFakeClient(sp.Settings{Log: sp.NewLog(slog.New(lines))})
		registration := sp.NewPipe(core, client.sock, nil).Session()
		registration.Began()
		defer registration.Ended()
		for _, bad := range []string{"", "abc", "\x00\x00\x00\x01", strings.Repeat("\x00\x00\x00\x01", wire.MaxHops+1) + "\x80\x00\x00\x01"} {
			if err := registration.Received([]byte(bad)); err != nil {
				t.Errorf("%q: got error %v, which closes the connection", bad, err)
			}
		}
		if got := core.Take(); len(got) > 0 {
			t.Errorf("answered %q to what is no survey", got)
		}
		synctest.Wait()
		const dropped = "gopherdiscovery: survey dropped from=<nil> error="
		want := []string{dropped + wire.ErrNoSurveyID.Error(), dropped + wire.ErrTooManyHops.Error()}
		if got := lines.Take(); !slices.Equal(got, want) {
			t.Errorf("logged %q, want %q", got, want)
		}
		if err := registration.Received([]byte("\x80\x00\x00\x01")); err != nil || len(core.Take()) != 1 {
			t.Errorf("the next survey was not answered: %v", err)
		}
		answered := client.announcers[0].heard
		time.Sleep(time.Second)
		core.Close()
		if err := registration.Received([]byte("\x80\x00\x00\x01")); err != nil {
			t.Errorf("got error %v for an answer that cannot be sent, which is no fault of the server", err)
		}
		if got := client.announcers[0].heard; got != answered {
			t.Errorf("it counts as answered at %v, want only the one at %v", got, answered)
		}
	})
}

// The goodbye comes after an answer that is being sent, and is the last
// message.
func TestClientSaysGoodbye(t *testing.T) {
	for _, test := range []struct {
		name    string
		surveys []string
		busy    bool // with the last answer
		want    []string
	}{
		{"not asked", nil, false, nil},
		{"asked", []string{"\x80\x00\x00\x01"}, false, []string{"\x80\x00\x00\x01name", "\x80\x00\x00\x00name"}},
		{"answering", []string{"\x80\x00\x00\x01"}, true, []string{"\x80\x00\x00\x01name", "\x80\x00\x00\x00name"}},
		{"asked by another way before", []string{"\x00\x00\x00\x07\x80\x00\x00\x01", "\x80\x00\x00\x02"}, false,
			[]string{"\x00\x00\x00\x07\x80\x00\x00\x01name", "\x80\x00\x00\x02name", "\x80\x00\x00\x00name"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				core, client := sptest.NewFakePipe(), newFakeClient(quietSettings)
				registration := sp.NewPipe(core, client.sock, nil).Session()
				registration.Began()
				if test.busy {
					core.Busy = make(chan struct{})
				}
				receive := func(surveys ...string) {
					for _, survey := range surveys {
						if err := registration.Received([]byte(survey)); err != nil {
							t.Error(err)
						}
					}
				}
				go receive(test.surveys...)
				synctest.Wait()
				begun := time.Now()
				client.leave() // nothing closes the connection
				if got := time.Since(begun); (got > 0) != (test.surveys != nil) || got > goodbyeTime {
					t.Errorf("waited %v", got)
				}
				if test.busy {
					close(core.Busy)
				}
				synctest.Wait()
				receive("\x80\x00\x00\x07")
				if got := core.Take(); !slices.Equal(got, test.want) {
					t.Errorf("said %q, want %q", got, test.want)
				}
				registration.Ended()
			})
		})
	}
}

// newFakeClient returns a client that is connected to nothing.
func newFakeClient(set sp.Settings) *DiscoveryClient {
	c := &DiscoveryClient{service: "name"}
	c.sock = sp.NewSocket(sp.Respondent, set, c.open)
	c.announcers = []*announcer{{client: c}}
	return c
}

// A client whose context has ended answers no survey, however late its own
// goroutine is with ending it. On one processor that has not run yet.
func TestClientOfAnEndedContextIsNeverAnnounced(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := Dialer{Logger: quiet}
	for range 20 {
		client, err := d.Client(ctx, "tcp://127.0.0.1:1", "ghost")
		if err != nil {
			t.Fatal(err)
		}
		a := client.announcers[0]
		a.mu.Lock()
		left := a.left
		a.mu.Unlock()
		client.Wait()
		if !left {
			t.Fatal("a survey would be answered")
		}
	}
}
