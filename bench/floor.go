package main

import (
	"encoding/binary"
	"errors"
	"io"
	"net"

	"github.com/dahernan/gopherdiscovery/bench/internal/measure"
)

// floorMessage is written to each connection. It has 70 bytes with its length,
// about as many as a change.
var floorMessage = message(make([]byte, 70-headerLen))

// floorWriter is the server's end of the floor. It accepts a connection that
// gives orders, and then as many readers as that connection asks for.
type floorWriter struct {
	listener net.Listener
	failed   chan<- error
}

func (f *floorWriter) run() {
	for {
		err := f.session()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			f.failed <- err
			return
		}
	}
}

// session serves one connection that gives orders until it ends.
func (f *floorWriter) session() error {
	orders, err := f.listener.Accept()
	if err != nil {
		return err
	}
	defer orders.Close()
	var count [4]byte
	if _, err := io.ReadFull(orders, count[:]); err != nil {
		return err
	}
	readers := make([]io.Writer, binary.BigEndian.Uint32(count[:]))
	for i := range readers {
		reader, err := f.listener.Accept()
		if err != nil {
			return err
		}
		defer reader.Close()
		readers[i] = reader
	}
	all := io.MultiWriter(readers...) // one after the other
	var order [1]byte
	for {
		if _, err := orders.Write(order[:]); err != nil { // it is ready
			return err
		}
		if _, err := orders.Read(order[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if _, err := all.Write(floorMessage); err != nil {
			return err
		}
	}
}

// FloorRun says how to measure the floor.
type FloorRun struct {
	Addr      string // of the floorWriter
	N, Rounds int
}

// Floor measures how long it takes until the server has written to each of N
// connections and each of them has been woken up here, counted from an order to
// the server. No change can be seen by N subscribers in less time.
func (l *Light) Floor(run FloorRun, times *measure.Times) error {
	orders, err := net.Dial("tcp", run.Addr)
	if err != nil {
		return err
	}
	defer orders.Close()
	var order [4]byte
	binary.BigEndian.PutUint32(order[:], uint32(run.N))
	if _, err := orders.Write(order[:]); err != nil {
		return err
	}
	watch := measure.NewWatch(run.N)
	readers := make([]*link, run.N)
	defer closeAll(readers)
	err = each(run.N, func(i int) error {
		r, err := dialBare(run.Addr, subscriptionBuffer)
		if err != nil {
			return err
		}
		readers[i] = r
		go countMessages(r, watch, i)
		return nil
	})
	if err != nil {
		return err
	}
	awaitReady := func() error {
		_, err := io.ReadFull(orders, order[:1])
		return err
	}
	for i := range run.Rounds {
		if err := awaitReady(); err != nil {
			return err
		}
		took, err := watch.Time(uint64(i+1), func() error {
			_, err := orders.Write(order[:1])
			return err
		})
		if err != nil {
			return err
		}
		*times = append(*times, took)
	}
	return awaitReady() // the server has nothing left to say
}

// closeAll closes links, of which those that were not made are nil.
func closeAll(links []*link) {
	for _, l := range links {
		if l != nil {
			l.Close()
		}
	}
}

// countMessages records with the watch how many messages reader i has received.
func countMessages(reader *link, watch *measure.Watch, i int) {
	for count := uint64(1); ; count++ {
		n, err := reader.next()
		if err == nil {
			_, err = reader.read(n)
		}
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				watch.Fail(err)
			}
			return
		}
		watch.See(i, count)
	}
}
