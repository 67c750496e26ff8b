package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// service is a backend. It works for a while on each request, and then answers
// it.
type service struct {
	name   string
	work   time.Duration
	grace  time.Duration
	logger *slog.Logger
}

// serve announces the service until ctx ends. Then it ends without losing a
// request: it leaves the list, but for a while still accepts requests from
// proxies that have not noticed, and finishes those that it has.
func (s *service) serve(ctx context.Context, dialer *gopherdiscovery.Dialer, urlServer string, listener net.Listener) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	client, err := dialer.Client(serving, urlServer, s.name)
	if err != nil {
		return err
	}
	defer client.Close()
	context.AfterFunc(ctx, func() {
		_ = client.Close()
		time.Sleep(s.grace)
		stop()
	})
	fmt.Println(s.name)
	return serve(serving, listener, s, s.logger)
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	select {
	case <-time.After(s.work):
		fmt.Fprintf(w, "hello from %s\n", s.name)
	case <-r.Context().Done():
	}
}
