package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	// headerTime is how long a connection has for the header of a request,
	// counted from its start for the first one.
	headerTime = 10 * time.Second

	// idleTime is how long a connection stays open between two requests. It
	// is above the 90 seconds of http.DefaultTransport: a client that
	// leaves first sends no request into a connection that is just being
	// closed.
	idleTime = 2 * time.Minute

	// endTime is how long requests have to finish when the end has begun.
	endTime = 5 * time.Second

	// newTime is how long a connection has then for the header of its first
	// request, which is on its way already, or will never come.
	newTime = 200 * time.Millisecond
)

// Listen binds the address of -http.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if malformed := (*net.AddrError)(nil); errors.As(err, &malformed) {
		return nil, Usagef("-http %q: %s, want HOST:PORT", address, malformed.Err)
	}
	if err != nil {
		_, port, _ := net.SplitHostPort(address)
		if _, err := net.LookupPort("tcp", port); err != nil {
			return nil, Usagef("-http %q: unknown port, want HOST:PORT", address)
		}
		return nil, fmt.Errorf("-http %s: %w", address, err)
	}
	return listener, nil
}

// Serve serves HTTP until ctx ends; the requests that are under way then have
// 5 seconds to finish. It closes the listener, and returns nil if it has ended
// because of ctx.
//
// A connection that says nothing is closed, before its first request and
// between two. Connections take a quarter of the process's file descriptors at
// most, and are no more than 10000: a further one ends the connection that
// has been silent for longest, or if all have a request, that of the oldest.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, logger *slog.Logger) error {
	return serve(ctx, listener, handler, logger, maxConns())
}

func serve(ctx context.Context, listener net.Listener, handler http.Handler, logger *slog.Logger, most int) error {
	open := &conns{most: most, all: make(map[net.Conn]connState)}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		ConnState:         open.set,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve HTTP on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	defer time.AfterFunc(newTime, open.closeNew).Stop()
	graceful, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer cancel()
	if server.Shutdown(graceful) != nil {
		return server.Close() // what has not finished by now is cut off
	}
	return nil
}
