package times_test

import (
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/times"
)

func TestAlarm(t *testing.T) {
	at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		alarm      times.Alarm
		late, want time.Duration
	}{
		{times.Alarm{At: at}, -time.Hour, 0},
		{times.Alarm{At: at}, 0, 0},
		{times.Alarm{At: at}, time.Second, 0},
		{times.Alarm{At: at}, time.Second + 1, time.Second + 1},
		{times.Alarm{}, time.Hour, 0},
	} {
		if got := test.alarm.Stopped(at.Add(test.late), time.Second); got != test.want {
			t.Errorf("%v after %v: stopped for %v, want %v", test.late, test.alarm.At, got, test.want)
		}
	}
}
