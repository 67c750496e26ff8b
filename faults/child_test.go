//go:build linux

package faults

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// orderVariable tells the test binary that it is a child, and what to do.
const orderVariable = "GOPHERDISCOVERY_FAULTS_ORDER"

// order says what a child is to be: a server, clients with subscriptions,
// subscribers, or all of these.
type order struct {
	// Survey and PubSub are a server's own URLs, or for clients the URLs of all
	// servers.
	Survey, PubSub string
	Server         bool
	Timing         timing   // of a server
	Clients        []string // their names
	Subscribers    int
	// Announcers are the names of clients without subscriptions.
	Announcers []string
	// Publisher is the address of a publisher of 2015, and PlainSubscribers is
	// the number of such subscribers.
	Publisher        string
	PlainSubscribers int
	// NameServer is the address of a name server, and Names is what it answers.
	// Resolver is the resolver of Go that looks up names.
	NameServer, Names, Resolver string
	// Paths are the URLs of paths, with their targets.
	Paths map[string]string
	// Certificate is a file with a certificate for both sides and its key, or
	// empty without TLS.
	Certificate string
}

// timing is a part of gopherdiscovery.Options. Zero is the default.
type timing struct {
	PollTime, SurveyTime, ReturnTime time.Duration
	MissedSurveys                    int
}

// returnTime is how long clients are given to come back.
func (t timing) returnTime() time.Duration {
	if t.ReturnTime == 0 {
		return 5 * time.Second
	}
	return t.ReturnTime
}

// These are the requests to a child on its stdin. The child ends when its stdin
// ends.
const (
	askState = "state\n"
	askHold  = "hold\n" // stop reading lists
	askGo    = "go\n"
)

// report is a line on a child's stdout. Only one field is set.
type report struct {
	List  *change `json:",omitempty"`
	State *state  `json:",omitempty"`
	// Left is the last line: what the child has leaked.
	Left *string `json:",omitempty"`
}

// change is a delivered list, as the difference from the one before.
type change struct {
	Reader       int
	At           time.Time
	First        bool
	Joined, Left []string
}

// state is the answer to askState.
type state struct {
	Goroutines, Files int
	// Heard is a time since which each subscriber has heard every server. It is
	// zero if a server is not connected.
	Heard    time.Time
	Clients  int      // connections of a server with clients
	Readers  int      // and with subscribers
	Services []string // a server's list
	Complete bool     // it is complete
}

// child is this process when it is a child.
type child struct {
	mu  sync.Mutex // guards writing
	out *json.Encoder
	// reading is held for reading while a list is handled, and locked while
	// lists are not to be read.
	reading sync.RWMutex
	readers sync.WaitGroup
	server  *gopherdiscovery.DiscoveryServer
	servers []func() []gopherdiscovery.ServerState
	closers []io.Closer
}

func beChild(text string) (code int) {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// The runtime opens descriptors for the network poller on its first use,
	// and keeps them.
	if warm, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = warm.Close()
	}
	files := openFiles()
	c := &child{out: json.NewEncoder(os.Stdout)}
	if err := c.start(o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	c.obey(bufio.NewReader(os.Stdin))
	var closing sync.WaitGroup
	for _, closer := range c.closers {
		closing.Go(func() { _ = closer.Close() })
	}
	closing.Wait()
	c.readers.Wait()
	left := leaked(files)
	c.say(report{Left: &left})
	return 0
}

func (c *child) start(o order) (err error) {
	quiet := slog.New(slog.DiscardHandler)
	serverTLS, clientTLS, err := o.tls()
	if err != nil {
		return err
	}
	dialer := &gopherdiscovery.Dialer{TLSConfig: clientTLS, Logger: quiet}
	if o.Server {
		c.server, err = gopherdiscovery.Server(o.Survey, o.PubSub, gopherdiscovery.Options{
			PollTime:      o.Timing.PollTime,
			SurveyTime:    o.Timing.SurveyTime,
			ReturnTime:    o.Timing.ReturnTime,
			MissedSurveys: o.Timing.MissedSurveys,
			TLSConfig:     serverTLS,
			Logger:        quiet,
		})
		if err != nil {
			return err
		}
		c.closers = append(c.closers, c.server)
	}
	for url, target := range o.Paths {
		p, err := openPath(url, target)
		if err != nil {
			return err
		}
		c.closers = append(c.closers, p)
	}
	for i, name := range o.Clients {
		client, err := dialer.ClientWithSub(context.Background(), o.Survey, o.PubSub, name)
		if err != nil {
			return err
		}
		lists, err := client.Peers()
		if err != nil {
			return err
		}
		c.closers = append(c.closers, client)
		c.servers = append(c.servers, client.Servers)
		c.readers.Go(func() { c.follow(i, lists) })
	}
	for _, name := range o.Announcers {
		client, err := dialer.Client(context.Background(), o.Survey, name)
		if err != nil {
			return err
		}
		c.closers = append(c.closers, client)
	}
	if o.Publisher != "" {
		p, err := openPublisher(o.Publisher)
		if err != nil {
			return err
		}
		c.closers = append(c.closers, p)
	}
	if o.NameServer != "" {
		s, err := openNameServer(o.NameServer, o.Names)
		if err != nil {
			return err
		}
		c.closers = append(c.closers, s)
	}
	for range o.PlainSubscribers {
		s, err := openSubscriber(o.PubSub)
		if err != nil {
			return err
		}
		c.closers = append(c.closers, s)
	}
	for i := range o.Subscribers {
		sub, err := dialer.NewSubscriber(context.Background(), o.PubSub)
		if err != nil {
			return err
		}
		c.closers = append(c.closers, sub)
		c.servers = append(c.servers, sub.Servers)
		c.readers.Go(func() { c.follow(len(o.Clients)+i, sub.Changes()) })
	}
	return nil
}

func (c *child) follow(reader int, lists <-chan []string) {
	var before []string
	for list := range lists {
		c.reading.RLock()
		joined, left := gopherdiscovery.Diff(before, list)
		c.say(report{List: &change{reader, time.Now(), before == nil, joined, left}})
		before = list
		c.reading.RUnlock()
	}
}

func (c *child) say(r report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// This fails when the parent is gone, and then stdin ends too.
	_ = c.out.Encode(r)
}

func (c *child) obey(in *bufio.Reader) {
	held := false
	for {
		line, err := in.ReadString('\n')
		if (err != nil || line == askGo) && held {
			c.reading.Unlock()
			held = false
		}
		switch {
		case err != nil:
			return
		case line == askHold:
			c.reading.Lock()
			held = true
		case line == askState:
			c.say(report{State: c.state()})
		}
	}
}

func (c *child) state() *state {
	s := &state{Goroutines: runtime.NumGoroutine(), Files: openFiles(), Heard: time.Now()}
	for _, servers := range c.servers {
		for _, server := range servers() {
			switch {
			case !server.Connected:
				s.Heard = time.Time{}
			case server.Heard.Before(s.Heard):
				s.Heard = server.Heard
			}
		}
	}
	if c.server != nil {
		s.Services = c.server.Services()
		stats := c.server.Stats()
		s.Clients, s.Readers, s.Complete = stats.Clients, stats.Subscribers, stats.Complete
	}
	return s
}

// leaked describes the goroutines that are left, and the descriptors beyond the
// given number, or returns "" if they go away.
func leaked(files int) string {
	left := testmain.LeftGoroutines()
	for deadline := time.Now().Add(patience / 3); openFiles() > files; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Sprintf("%s%d descriptors, %d before", left, openFiles(), files)
		}
	}
	return left
}

func openFiles() int {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(all)
}
