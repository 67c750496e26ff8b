package sp

import (
	"log/slog"
	"time"
)

const ms = time.Millisecond

// quietSettings are the settings of an endpoint without a log.
var quietSettings = Settings{Log: NewLog(slog.New(slog.DiscardHandler))}
