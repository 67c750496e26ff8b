package gopherdiscovery

import (
	"log/slog"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sp"
)

const ms = time.Millisecond

// quietSettings are the settings of an endpoint without a log.
var quietSettings = sp.Settings{Log: sp.NewLog(slog.New(slog.DiscardHandler))}

// quiet is a logger that writes nothing.
var quiet = slog.New(slog.DiscardHandler)
