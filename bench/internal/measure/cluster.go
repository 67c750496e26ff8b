package measure

import (
	"errors"
	"time"
)

// Cluster is a discovery service of some kind, and its peers, all in this
// process.
type Cluster interface {
	Crowd
	// Start starts a server, if there is one, and a peer for each name, all at
	// the same moment. Each peer records with the watch how many names it sees.
	// Close must be called even if Start fails.
	Start(names []string, w *Watch) error
	// Check returns an error unless each peer sees exactly these names.
	Check(names []string) error
	// Close ends everything that Start and Join have started.
	Close() error
}

// Service measures one kind of cluster for a parent process. Its methods must
// not be called concurrently.
type Service struct {
	New     func() Cluster
	cluster Cluster
	names   []string
	watch   *Watch
}

// ColdStart starts a cluster of n peers, and measures how long it takes until
// every peer sees all of them. It first closes the cluster before.
func (s *Service) ColdStart(n int, took *time.Duration) error {
	if s.cluster != nil {
		if err := s.cluster.Close(); err != nil {
			return err
		}
	}
	s.cluster, s.names, s.watch = s.New(), Names(n), NewWatch(n)
	round := s.watch.Expect(uint64(n))
	if err := s.cluster.Start(s.names, s.watch); err != nil {
		return err
	}
	var err error
	if *took, err = round.Wait(Timeout); err != nil {
		return err
	}
	return s.cluster.Check(s.names)
}

// Changes lets newcomers join and leave the cluster that was started last.
func (s *Service) Changes(rounds int, changes *Changes) error {
	if s.cluster == nil {
		return errors.New("no cluster was started")
	}
	n := uint64(len(s.names))
	var err error
	*changes, err = Run(s.cluster, s.watch, rounds, func(string) uint64 { return n + 1 }, n)
	if err != nil {
		return err
	}
	return s.cluster.Check(s.names)
}

// Idle measures the processor time that this process uses in a window of time.
func (s *Service) Idle(window time.Duration, used *time.Duration) error {
	var err error
	*used, err = IdleTime(window)
	return err
}

// Close ends the cluster that was started last.
func (s *Service) Close(struct{}, *struct{}) error {
	if s.cluster == nil {
		return nil
	}
	defer func() { s.cluster = nil }()
	return s.cluster.Close()
}
