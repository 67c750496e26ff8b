package gopherdiscovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// ErrInvalidArgument is matched by the error for an argument that is neither a URL nor a service name: a negative
// duration in Options, or a nil context.
var ErrInvalidArgument = errors.New("gopherdiscovery: invalid argument")

// Defaults of the Options fields that are zero.
const (
	defaultSurveyTime    = time.Second
	defaultPollTime      = 2 * time.Second
	defaultJoinInterval  = 20 * time.Millisecond
	defaultMissedSurveys = 2
)

// Options says how a server looks for its clients. The zero value is ready to use: each zero field stands for its default.
// The server keeps a copy, the struct is never changed and may be used again.
type Options struct {
	// SurveyTime is the longest that one survey lasts. A survey ends earlier when everyone has answered; a client that has
	// not answered by its end has missed it. The default is 1 second. It must not be negative.
	SurveyTime time.Duration

	// RecvDeadline is the longest silence within a survey: the survey also ends when no answer has come for this
	// long. The default is SurveyTime. It must not be negative.
	RecvDeadline time.Duration

	// PollTime is the pause between the end of a survey of everyone and the start of the next. A server also waits this
	// long after its start before it publishes the first list, so that a restart goes unnoticed by those who come back in
	// time. The default is 2 seconds. It must not be negative.
	PollTime time.Duration

	// JoinInterval is how far apart the surveys are that new connections cause: a lone join is seen at once, a burst
	// of joins as a few changes. The default is 20 milliseconds, and it is never above PollTime. Below zero a new
	// connection causes no survey, and a join waits for the next poll.
	JoinInterval time.Duration

	// MissedSurveys is the number of surveys in a row that a silent client misses until it is dropped. A client whose
	// connection ends is dropped at once. The default is 2. It must not be negative.
	MissedSurveys int

	// Logger takes the server's log: bad input, once per connection. Nothing is logged per survey. The default is slog.Default().
	Logger *slog.Logger
}

// withDefaults checks the options and fills in the defaults.
func (o Options) withDefaults() (Options, error) {
	for _, field := range []struct {
		name  string
		value time.Duration
	}{
		{"SurveyTime", o.SurveyTime},
		{"RecvDeadline", o.RecvDeadline},
		{"PollTime", o.PollTime},
	} {
		if field.value < 0 {
			return o, fmt.Errorf("%w: Options.%s %v: negative", ErrInvalidArgument, field.name, field.value)
		}
	}
	if o.MissedSurveys < 0 {
		return o, fmt.Errorf("%w: Options.MissedSurveys %d: negative", ErrInvalidArgument, o.MissedSurveys)
	}
	setDefault(&o.SurveyTime, defaultSurveyTime)
	setDefault(&o.RecvDeadline, o.SurveyTime)
	setDefault(&o.PollTime, defaultPollTime)
	setDefault(&o.JoinInterval, defaultJoinInterval)
	setDefault(&o.MissedSurveys, defaultMissedSurveys)
	setDefault(&o.Logger, slog.Default())
	o.JoinInterval = min(o.JoinInterval, o.PollTime)
	return o, nil
}

// Dialer says how clients and subscribers connect. The zero value is ready to use, a Dialer is never changed by its
// methods, and they may be called concurrently.
type Dialer struct {
	// Logger takes the log: a server lost or found again, and bad input once per connection. The default is slog.Default().
	Logger *slog.Logger
}

func (d *Dialer) logger() *slog.Logger {
	logger := d.Logger
	setDefault(&logger, slog.Default())
	return logger
}

func checkContext(ctx context.Context) error {
	if ctx == nil {
		return fmt.Errorf("%w: ctx is nil", ErrInvalidArgument)
	}
	return nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
