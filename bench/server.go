package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/bench/internal/measure"
)

const anyPort = "127.0.0.1:0"

// spare is the number of connections that the server keeps free for newcomers.
const spare = 100

// Server is the process of the server that the light peers connect to. Its
// methods must not be called concurrently.
type Server struct {
	server *gopherdiscovery.DiscoveryServer
	failed chan error
}

// ServerOptions are a part of gopherdiscovery.Options.
type ServerOptions struct {
	PollTime time.Duration
	Peers    int // how many will come
}

// Addresses are the addresses on which a server process listens.
type Addresses struct {
	Survey, PubSub string
	Floor          string // see Light.Floor
}

// Start starts the server, and a floorWriter.
func (s *Server) Start(opt ServerOptions, bound *Addresses) error {
	listener, err := net.Listen("tcp", anyPort)
	if err != nil {
		return err
	}
	s.failed = make(chan error, 1)
	go (&floorWriter{listener, s.failed}).run()
	s.server, err = startServer(opt)
	if err != nil {
		return err
	}
	survey, pubsub := s.server.URLs()
	*bound = Addresses{withoutScheme(survey), withoutScheme(pubsub), listener.Addr().String()}
	return nil
}

func startServer(opt ServerOptions) (*gopherdiscovery.DiscoveryServer, error) {
	return gopherdiscovery.Server("tcp://"+anyPort, "tcp://"+anyPort, gopherdiscovery.Options{
		PollTime:   opt.PollTime,
		MaxClients: opt.Peers + spare,
	})
}

func withoutScheme(url string) string { return strings.TrimPrefix(url, "tcp://") }

// Resident measures how much memory the process occupies.
func (s *Server) Resident(_ struct{}, bytes *int64) error {
	var err error
	*bytes, err = measure.Resident()
	return err
}

// Idle measures the processor time that the process uses in a window of time.
func (s *Server) Idle(window time.Duration, used *time.Duration) error {
	var err error
	*used, err = measure.IdleTime(window)
	return err
}

// Complete waits until the start of the server is over.
func (s *Server) Complete(struct{}, *struct{}) error {
	return await(s.server, "not complete", func(stats gopherdiscovery.Stats) bool { return stats.Complete })
}

// Refused counts the connections that the server has closed before they took
// part.
func (s *Server) Refused(_ struct{}, n *uint64) error {
	*n = s.server.Stats().Refused
	return nil
}

// Drain waits until no one is connected.
func (s *Server) Drain(struct{}, *struct{}) error {
	return await(s.server, "not without connections", func(stats gopherdiscovery.Stats) bool {
		return stats.Clients == 0 && stats.Subscribers == 0
	})
}

func await(server *gopherdiscovery.DiscoveryServer, without string, done func(gopherdiscovery.Stats) bool) error {
	for deadline := time.Now().Add(measure.Timeout); ; time.Sleep(10 * time.Millisecond) {
		stats := server.Stats()
		if done(stats) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the server is %s after %v: %+v", without, measure.Timeout, stats)
		}
	}
}

// Close ends the server. It returns an error if the floorWriter has failed.
func (s *Server) Close(struct{}, *struct{}) error {
	err := s.server.Close()
	select {
	case failed := <-s.failed:
		return errors.Join(err, fmt.Errorf("floor: %w", failed))
	default:
		return err
	}
}
