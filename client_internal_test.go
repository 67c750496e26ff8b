package gopherdiscovery

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
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
			core := newFakePipe()
			client := &DiscoveryClient{service: "name", pulses: make(map[string]*pulse)}
			responder := client.open(newPipe(core, newEndpoint(respondentSide, quietSettings)))
			responder.began()
			defer responder.ended()
			survey := []byte(test.survey)
			for range 2 {
				if err := responder.received(survey); err != nil {
					t.Errorf("got error %v", err)
				}
			}
			if got, want := core.take(), []string{test.want, test.want}; !slices.Equal(got, want) {
				t.Errorf("answered %q, want %q", got, want)
			}
			if string(survey) != test.survey {
				t.Errorf("the survey, which is not ours, is now %q", survey)
			}
		})
	}
}

// Messages that are not surveys are logged once, and later surveys are still
// answered.
func TestClientDropsWhatIsNoSurvey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, lines := newFakePipe(), openGate()
		e := newEndpoint(respondentSide, settings{log: &asyncLog{logger: slog.New(lines)}})
		responder := (&DiscoveryClient{service: "name", pulses: make(map[string]*pulse)}).open(newPipe(core, e))
		responder.began()
		defer responder.ended()
		for _, bad := range []string{"", "abc", "\x00\x00\x00\x01", strings.Repeat("\x00\x00\x00\x01", maxHops+1) + "\x80\x00\x00\x01"} {
			if err := responder.received([]byte(bad)); err != nil {
				t.Errorf("%q: got error %v, which closes the connection", bad, err)
			}
		}
		if got := core.take(); len(got) > 0 {
			t.Errorf("answered %q to what is no survey", got)
		}
		synctest.Wait()
		want := []string{"gopherdiscovery: survey dropped error=" + errNoSurveyID.Error() + " from=<nil>"}
		if got := lines.take(); !slices.Equal(got, want) {
			t.Errorf("logged %q, want %q", got, want)
		}
		if err := responder.received([]byte("\x80\x00\x00\x01")); err != nil || len(core.take()) != 1 {
			t.Errorf("the next survey was not answered: %v", err)
		}
		core.Close()
		if err := responder.received([]byte("\x80\x00\x00\x01")); err != nil {
			t.Errorf("got error %v for an answer that cannot be sent, which is no fault of the server", err)
		}
	})
}
