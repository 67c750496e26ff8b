package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

const (
	demoKeys = 60
	demoTime = 60 * time.Second // more than it ever needs
	pollTime = 500 * time.Millisecond
)

// demo is the running caches, and what they have loaded so far.
type demo struct {
	caches processes
	names  map[string]string // a, b, c, … by URL
	loaded map[entry]bool    // entries seen in answers
	server *gopherdiscovery.DiscoveryServer
}

// demonstrate runs the demonstration. It returns when all the processes that it
// has started are gone.
func demonstrate(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	d := &demo{names: make(map[string]string), loaded: make(map[entry]bool)}
	// The server ends after the caches, because a cache that loses its server
	// logs a warning. So would the server, if an interrupt ended a cache while
	// it connects.
	d.server, err = gopherdiscovery.Server("tcp://127.0.0.1:0", "tcp://127.0.0.1:0", gopherdiscovery.Options{
		PollTime: pollTime,
		Logger:   slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	defer d.server.Close()
	err = errors.Join(d.play(ctx), d.caches.leave())
	switch {
	case err == nil:
		fmt.Println("\nThe caches have been ended: no process is left.")
	case ctx.Err() == context.DeadlineExceeded:
		err = fmt.Errorf("gave up after %v: %w", demoTime, err)
	case ctx.Err() != nil:
		err = errors.New("interrupted")
	}
	return err
}

func (d *demo) play(ctx context.Context) error {
	fmt.Println("A discovery server and three caches, each cache a process of its own:")
	for range 3 {
		if _, err := d.start(ctx); err != nil {
			return err
		}
	}
	if err := d.awaitPeers(); err != nil {
		return err
	}
	first, err := d.round(ctx, "Each key is loaded once, by the cache that owns it. The others fetch it from there over HTTP.")
	if err != nil {
		return err
	}

	b := d.caches.take(d.caches[1])
	fmt.Printf("\nb is killed with SIGKILL, while a and c are asked for new keys.\n")
	requests, known, err := d.killUnderLoad(ctx, b)
	if err != nil {
		return err
	}
	fmt.Printf("  The others know it after %s. %d requests were answered meanwhile, 0 failed.\n", ms(known), requests)
	lost := 0
	for _, e := range first {
		if e.LoadedBy == b.url {
			lost++
		}
	}
	fmt.Printf("  The %d keys of b move to a and c, except a few that one of them still has in its hot cache.\n", lost)
	if _, err := d.round(ctx, "The keys of a and c stay where they are."); err != nil {
		return err
	}

	fmt.Println("\nd joins.")
	start := time.Now()
	if _, err := d.start(ctx); err != nil {
		return err
	}
	if err := d.awaitPeers(); err != nil {
		return err
	}
	fmt.Printf("  All know of it %s after its process was started.\n", ms(time.Since(start)))
	_, err = d.round(ctx, "The keys that d owns now move to it. Copies in a and c stay until they are evicted.")
	return err
}

// start starts one more cache.
func (d *demo) start(ctx context.Context) (*process, error) {
	urlServer, urlPubSub := d.server.URLs()
	p, err := d.caches.start(ctx, "-server", urlServer, "-pubsub", urlPubSub, "-http", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	name := string(rune('a' + len(d.names)))
	d.names[p.url] = name
	fmt.Printf("  %s  %s\n", name, p.url)
	return p, nil
}

// awaitPeers returns when each cache has the list of all of them.
func (d *demo) awaitPeers() error {
	var want []string
	for _, p := range d.caches {
		want = append(want, p.url)
	}
	slices.Sort(want)
	line := "peers: " + strings.Join(want, " ")
	for _, p := range d.caches {
		for {
			got, err := p.line()
			if err != nil {
				return fmt.Errorf("%s has not printed the peers %v: %w", p.url, want, err)
			}
			if got == line {
				break
			}
		}
	}
	return nil
}

// round asks each cache for each key, and prints how many keys each cache has
// loaded. It returns the first answers.
func (d *demo) round(ctx context.Context, comment string) ([]entry, error) {
	loads := make(map[string]int)
	var first []entry
	requests := 0
	for n := range demoKeys {
		for i, p := range d.caches {
			e, err := get(ctx, p.url, fmt.Sprintf("key-%d", n+1))
			if err != nil {
				return nil, err
			}
			requests++
			if i == 0 {
				first = append(first, e)
			}
			if !d.loaded[e] {
				d.loaded[e] = true
				loads[e.LoadedBy]++
			}
		}
	}
	var parts []string
	total := 0
	for _, p := range d.caches {
		parts = append(parts, fmt.Sprintf("%s loads %d", d.names[p.url], loads[p.url]))
		total += loads[p.url]
	}
	fmt.Printf("  %s\n", comment)
	fmt.Printf("  %d keys asked for at %d caches, %d requests: %s, together %d.\n", demoKeys, len(d.caches), requests, strings.Join(parts, ", "), total)
	return first, nil
}

// killUnderLoad kills a cache while the others are asked for keys that have not
// been loaded yet. It returns the number of requests until all knew of it, and
// how long that took.
func (d *demo) killUnderLoad(ctx context.Context, victim *process) (requests int, known time.Duration, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	urls := make([]string, len(d.caches))
	for i, p := range d.caches {
		urls[i] = p.url
	}
	enough, stop, stopped := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if _, err := get(ctx, urls[requests%len(urls)], fmt.Sprintf("new-%d", requests)); err != nil {
				stopped <- err
				return
			}
			if requests++; requests == 100 {
				close(enough)
			}
		}
	}()
	select {
	case <-enough:
	case err := <-stopped:
		return 0, 0, err
	}
	killed := time.Now()
	if err := victim.kill(); err != nil {
		return 0, 0, err
	}
	if err := d.awaitPeers(); err != nil {
		return 0, 0, err
	}
	known = time.Since(killed)
	close(stop)
	err = <-stopped
	return requests, known, err
}

func get(ctx context.Context, base, key string) (e entry, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/get?key="+url.QueryEscape(key), nil)
	if err != nil {
		return e, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return e, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return e, fmt.Errorf("%s has answered %s for %s", base, answer.Status, key)
	}
	return e, json.NewDecoder(answer.Body).Decode(&e)
}

func ms(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
