package gopherdiscovery

import (
	"log/slog"
	"time"
)

const ms = time.Millisecond

// quietSettings are the settings of an endpoint without a log.
var quietSettings = settings{log: newLog(slog.New(slog.DiscardHandler))}

// quiet is a logger that writes nothing.
var quiet = slog.New(slog.DiscardHandler)
