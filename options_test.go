package gopherdiscovery

import (
	"log/slog"
	"reflect"
	"testing"
	"time"
)

func TestDefaults(t *testing.T) {
	logger := slog.New(slog.DiscardHandler)
	for _, test := range []struct {
		name      string
		opt, want Options
	}{
		{"all", Options{}, Options{
			SurveyTime: time.Second, RecvDeadline: time.Second, PollTime: 2 * time.Second, ReturnTime: 5 * time.Second,
			JoinInterval: 20 * ms, MissedSurveys: 2, MaxClients: 10000, Logger: slog.Default(),
		}},
		{"none", Options{
			SurveyTime: ms, RecvDeadline: 2 * ms, PollTime: 4 * ms, ReturnTime: 7 * ms, JoinInterval: 3 * ms, MissedSurveys: 5, MaxClients: 6, Logger: logger,
		}, Options{
			SurveyTime: ms, RecvDeadline: 2 * ms, PollTime: 4 * ms, ReturnTime: 7 * ms, JoinInterval: 3 * ms, MissedSurveys: 5, MaxClients: 6, Logger: logger,
		}},
		{"RecvDeadline is SurveyTime, JoinInterval at most PollTime", Options{
			SurveyTime: time.Minute, PollTime: ms, Logger: logger,
		}, Options{
			SurveyTime: time.Minute, RecvDeadline: time.Minute, PollTime: ms, ReturnTime: 5 * time.Second, JoinInterval: ms, MissedSurveys: 2, MaxClients: 10000, Logger: logger,
		}},
		{"no JoinInterval", Options{JoinInterval: -1, Logger: logger}, Options{
			SurveyTime: time.Second, RecvDeadline: time.Second, PollTime: 2 * time.Second, ReturnTime: 5 * time.Second,
			JoinInterval: -1, MissedSurveys: 2, MaxClients: 10000, Logger: logger,
		}},
	} {
		if got, err := test.opt.withDefaults(); err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %+v, %v, want %+v", test.name, got, err, test.want)
		}
	}
}
