package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/golang/groupcache"
)

// basePath is where the peers fetch from each other. All of them must use the
// same path.
const basePath = "/_groupcache/"

// cache answers requests for all keys. It loads those that it owns, and fetches
// the others from the peers that own them.
type cache struct {
	name  string
	pool  *groupcache.HTTPPool
	group *groupcache.Group
	peers []string     // set by setPeers
	loads atomic.Int64 // how many values have been loaded here
	sets  atomic.Int64 // how often the list of peers has changed
}

// entry is a value. A real one would come from a database, for example; this
// one says where and when it was loaded.
type entry struct {
	Key      string `json:"key"`
	LoadedBy string `json:"loaded_by"`
	Number   int64  `json:"number"` // counts the loads of that cache
}

// stats are what a cache reports about itself.
type stats struct {
	Sets     int64 `json:"sets"`     // changes of the list of peers
	Requests int64 `json:"requests"` // from users and peers
	Hits     int64 `json:"hits"`     // answered from memory
	Loads    int64 `json:"loads"`    // loaded here
	Fetches  int64 `json:"fetches"`  // fetched from the owner
	// Strays were loaded here because the owner could not be reached.
	Strays int64 `json:"strays"`
}

// newCache returns a cache that waits up to timeout for a connection to the
// owner of a key, and as long for its answer. It must be called only once in a
// process, because groupcache's pool and groups are global.
func newCache(name string, timeout time.Duration) *cache {
	c := &cache{name: name}
	c.pool = groupcache.NewHTTPPoolOpts(name, &groupcache.HTTPPoolOptions{BasePath: basePath})
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	// There are few hosts, and many requests to each.
	transport.MaxIdleConnsPerHost = 100
	// If the owner of a key hangs, or its machine is down, the value is loaded
	// here.
	transport.DialContext = (&net.Dialer{Timeout: timeout}).DialContext
	transport.ResponseHeaderTimeout = timeout
	c.pool.Transport = func(context.Context) http.RoundTripper { return transport }
	c.group = groupcache.NewGroup("example", 64<<20, groupcache.GetterFunc(c.load))
	c.pool.Set(name) // until the first list comes
	return c
}

// setPeers must be called with each list that comes from the discovery. It
// returns the peers if they have changed. A key whose owner does not change
// stays where it is.
func (c *cache) setPeers(list []string) (peers []string, changed bool) {
	list = withSelf(list, c.name)
	if slices.Equal(list, c.peers) {
		return nil, false
	}
	c.peers = list
	c.pool.Set(list...)
	c.sets.Add(1)
	return list, true
}

// withSelf returns the sorted list with self in it. A list can lack the peer
// that receives it, because the first list may be older than the join of that
// peer.
//
// For each key, groupcache's ring orders all peers in its own way. The first
// peer of a list in that order owns the key. Since each cache is in its own
// list, it asks only caches that come before it. So caches whose lists differ,
// as they do for a moment after each change, never ask each other in a circle,
// in which each would wait for the next.
func withSelf(list []string, self string) []string {
	if i, found := slices.BinarySearch(list, self); !found {
		return slices.Insert(list, i, self)
	}
	return list
}

// encode makes a key fit for the path in which groupcache sends it: a space,
// ".." or "//" would not arrive unchanged.
func encode(key string) string { return base64.RawURLEncoding.EncodeToString([]byte(key)) }

// load runs on the owner of a key. However many requests there are for the key,
// it runs once until the value is evicted.
func (c *cache) load(_ context.Context, encoded string, dest groupcache.Sink) error {
	key, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return err
	}
	value, err := json.Marshal(entry{Key: string(key), LoadedBy: c.name, Number: c.loads.Add(1)})
	if err != nil {
		return err
	}
	return dest.SetBytes(value)
}

func (c *cache) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(basePath, c.pool)
	mux.HandleFunc("GET /get", c.get)
	mux.HandleFunc("GET /stats", c.stats)
	return mux
}

// get answers /get?key=… on each of the caches.
func (c *cache) get(w http.ResponseWriter, r *http.Request) {
	key := r.URL.Query().Get("key")
	if key == "" {
		http.Error(w, "no key: want /get?key=…", http.StatusBadRequest)
		return
	}
	var value []byte
	if err := c.group.Get(r.Context(), encode(key), groupcache.AllocatingByteSliceSink(&value)); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(value, '\n'))
}

func (c *cache) stats(w http.ResponseWriter, _ *http.Request) {
	s := &c.group.Stats
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(stats{
		Sets:     c.sets.Load(),
		Requests: s.Gets.Get(),
		Hits:     s.CacheHits.Get(),
		Loads:    s.LocalLoads.Get(),
		Fetches:  s.PeerLoads.Get(),
		Strays:   s.PeerErrors.Get(),
	})
}
