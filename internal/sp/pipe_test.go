package sp

import (
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/logtest"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// listening is a session that keeps the messages that it receives, and has
// something to send.
type listening struct {
	got  []string
	err  error // returned for each message
	next []byte
}

func (l *listening) open(*Pipe) Session { return l }

func (l *listening) Began() {}

func (l *listening) Received(body []byte) error {
	l.got = append(l.got, string(body))
	return l.err
}

func (l *listening) Say() []byte {
	next := l.next
	l.next = nil
	return next
}

func (l *listening) Ended() {}

// newTestPipe returns a pipe of an endpoint with a session.
func newTestPipe(core *sptest.FakePipe, e *endpoint, s *listening) *Pipe {
	return NewPipe(core, &Socket{endpoint: e, role: s.open}, nil)
}

// newTalkingPipe returns a pipe with a function that sends a message on it.
func newTalkingPipe(core *sptest.FakePipe, e *endpoint) (p *Pipe, post func(message string)) {
	s := new(listening)
	p = newTestPipe(core, e, s)
	return p, func(message string) {
		s.next = []byte(message)
		p.Offer()
		synctest.Wait() // until it is sent, or has to wait
	}
}

// A connection that takes nothing is asked for its next message when it takes
// something again.
func TestPipeSaysWhatIsNewWhenItCan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core := sptest.NewFakePipe()
		core.Busy = make(chan struct{})
		e := newEndpoint(Protocol{}, quietSettings)
		p, post := newTalkingPipe(core, e)
		for _, message := range []string{"one", "two", "three", "four"} {
			post(message) // the first is being sent, and the others wait
		}
		close(core.Busy)
		synctest.Wait()
		if got, want := core.Take(), []string{"one", "four"}; !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
		p.Offer() // it has been sent already
		synctest.Wait()
		if got := core.Take(); len(got) > 0 {
			t.Errorf("sent %q once more", got)
		}
		post("five")
		if got, want := core.Take(), []string{"five"}; !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
		if e.goroutines != 0 {
			t.Errorf("got %d goroutines while there is nothing to send, want none", e.goroutines)
		}
	})
}

// A message that cannot be sent ends the sending, because mangos has closed the
// connection.
func TestPipeStopsWhenItCannotSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core := sptest.NewFakePipe()
		core.Close()
		e := newEndpoint(Protocol{}, quietSettings)
		_, post := newTalkingPipe(core, e)
		post("lost")
		post("lost as well")
		if e.goroutines != 0 || e.Broken.Load() != 0 {
			t.Errorf("got %d goroutines and %d broken connections, want none", e.goroutines, e.Broken.Load())
		}
	})
}

// Nothing is sent once the endpoint is closed.
func TestPipeOfAClosedEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, e := sptest.NewFakePipe(), newEndpoint(Protocol{}, quietSettings)
		_, post := newTalkingPipe(core, e)
		e.shut()
		post("late")
		if got := core.Take(); len(got) > 0 {
			t.Errorf("sent %q", got)
		}
	})
}

// OfferAll offers every connection, however they are shared out.
func TestOfferAll(t *testing.T) {
	for _, n := range []int{0, 1, connsPerSender - 1, connsPerSender, 2*connsPerSender + 1, 1000} {
		all := make([]*offered, n)
		for i := range all {
			all[i] = new(offered)
		}
		OfferAll(all)
		for i, o := range all {
			if o.times != 1 {
				t.Fatalf("of %d connections number %d was offered %d times", n, i, o.times)
			}
		}
	}
}

type offered struct{ times int }

func (o *offered) Offer() { o.times++ }

func TestPipeExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, lines := sptest.NewFakePipe(), logtest.OpenGate()
		e := newEndpoint(Protocol{}, Settings{Log: NewLog(slog.New(lines))})
		p, post := newTalkingPipe(core, e)
		if p.expired(time.Now()) {
			t.Error("a connection without a certificate has expired")
		}
		p.expires = time.Now().Add(time.Hour)
		time.Sleep(time.Hour)
		post("in time")
		time.Sleep(time.Nanosecond)
		post("too late")
		if got, want := core.Take(), []string{"in time"}; !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
		if !core.IsClosed() || e.Broken.Load() != 1 {
			t.Errorf("got closed %t and %d broken connections, want true and 1", core.IsClosed(), e.Broken.Load())
		}
		want := []string{"gopherdiscovery: connection closed from=<nil> error=" + errExpired.Error()}
		if got := lines.Take(); !slices.Equal(got, want) {
			t.Errorf("logged %q, want %q", got, want)
		}
		e.shut()
		e.end()
	})
}

func TestPipeRefusesWhatIsTooLong(t *testing.T) {
	s := new(listening)
	p := newTestPipe(sptest.NewFakePipe(), newEndpoint(Protocol{limit: 4}, quietSettings), s)
	if err := p.received([]byte("four")); err != nil {
		t.Errorf("4 of at most 4 bytes: got error %v", err)
	}
	if err := p.received([]byte("fiver")); !errors.Is(err, errTooLong) {
		t.Errorf("5 of at most 4 bytes: got error %v, want %v", err, errTooLong)
	}
	if want := []string{"four"}; !slices.Equal(s.got, want) {
		t.Errorf("the session has received %q, want %q", s.got, want)
	}
}

// A connection is read until it ends, or violates the protocol.
func TestPipeReceives(t *testing.T) {
	broken := errors.New("broken")
	for _, test := range []struct {
		name string
		err  error // of the session
		want []string
	}{
		{"until it ends", nil, []string{"one", "two"}},
		{"until it breaks the protocol", broken, []string{"one"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			core, s := sptest.NewFakePipe("one", "two"), &listening{err: test.err}
			e := newEndpoint(Protocol{limit: 4}, quietSettings)
			p := newTestPipe(core, e, s)
			e.Enter(1)
			p.receive()
			if !slices.Equal(s.got, test.want) {
				t.Errorf("the session has received %q, want %q", s.got, test.want)
			}
			drops := uint64(0)
			if test.err != nil {
				drops = 1
			}
			if e.Broken.Load() != drops || core.IsClosed() != (drops == 1) || e.goroutines != 0 {
				t.Errorf("got %d broken connections, closed %t, %d goroutines, want %d, %t and 0",
					e.Broken.Load(), core.IsClosed(), e.goroutines, drops, drops == 1)
			}
		})
	}
}

func TestPipeReportsEachReasonOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := logtest.OpenGate()
		e := newEndpoint(Protocol{}, Settings{Log: NewLog(slog.New(lines))})
		p, other := newTestPipe(sptest.NewFakePipe(), e, nil), newTestPipe(sptest.NewFakePipe(), e, nil)
		p.Report("first", wire.ErrEmpty, "n", 1)
		p.Report("first", wire.ErrEmpty, "n", 2)
		other.Report("first", wire.ErrEmpty, "n", 3)
		p.Report("first", wire.ErrNoSurveyID)
		synctest.Wait()
		want := []string{"gopherdiscovery: first from=<nil> error=empty n=1", "gopherdiscovery: first from=<nil> error=no survey id"}
		if got := lines.Take(); !slices.Equal(got, want) {
			t.Errorf("logged %q, want %q", got, want)
		}
	})
}

// A connection that is not our own transport's has the plain form.
func TestPipeForms(t *testing.T) {
	sum := uint64(7)
	for _, test := range []struct {
		name  string
		link  *link
		plain bool
		have  *uint64
	}{
		{"not our transport", nil, true, nil},
		{"plain", &link{}, true, nil},
		{"changes", &link{form: form{changes: true}}, false, nil},
		{"changes, with a list", &link{form: form{changes: true, have: &sum}}, false, &sum},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := &Pipe{link: test.link}
			if plain, have := p.Form(); plain != test.plain || have != test.have {
				t.Errorf("got plain %t, have %v, want %t, %v", plain, have, test.plain, test.have)
			}
		})
	}
}

// What a connection learns of the server's list is for the next connection.
func TestPipeTellsTheNextOne(t *testing.T) {
	r := new(resumption)
	p := &Pipe{link: &link{form: form{resumption: r}}}
	p.RememberSum(7)
	if got := r.have(); got == nil || *got != 7 {
		t.Errorf("the next connection has %v, want 7", got)
	}
	p.Forget()
	if got := r.have(); got != nil {
		t.Errorf("the next connection has %d, want none", *got)
	}
	p.Distrust()
	if !r.isPlain(time.Now()) {
		t.Error("the next connection asks for changes, want the plain form")
	}
}
