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

// basePath is where the peers fetch from each other. All must use the same.
const basePath = "/_groupcache/"

// cache answers for all keys: it loads those that it owns, and fetches the others from the peers that own them.
type cache struct {
	name  string
	pool  *groupcache.HTTPPool
	group *groupcache.Group
	peers []string     // what setPeers has set
	loads atomic.Int64 // how many values have been loaded here
	sets  atomic.Int64 // how often the list of peers has changed
}

// entry is a value. A real one would come from a database or so; this one tells where and when it was loaded.
type entry struct {
	Key      string `json:"key"`
	LoadedBy string `json:"loaded_by"`
	Number   int64  `json:"number"` // counts what that cache has loaded
}

// stats are what a cache tells of itself.
type stats struct {
	Sets     int64 `json:"sets"`     // changes of the list of peers
	Requests int64 `json:"requests"` // from users and peers
	Hits     int64 `json:"hits"`     // answered from memory
	Loads    int64 `json:"loads"`    // loaded here
	Fetches  int64 `json:"fetches"`  // fetched from the owner
	Strays   int64 `json:"strays"`   // loaded here because the owner could not be reached
}

// newCache returns a cache that waits as long as timeout for a connection to the
// owner of a key, and for its answer. It may be called once in a process:
// groupcache's pool and groups are global.
func newCache(name string, timeout time.Duration) *cache {
	c := &cache{name: name}
	c.pool = groupcache.NewHTTPPoolOpts(name, &groupcache.HTTPPoolOptions{BasePath: basePath})
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.MaxIdleConnsPerHost = 100 // there are few hosts, and many requests to each
	// An owner may hang, or its machine be down: then the value is loaded here.
	transport.DialContext = (&net.Dialer{Timeout: timeout}).DialContext
	transport.ResponseHeaderTimeout = timeout
	c.pool.Transport = func(context.Context) http.RoundTripper { return transport }
	c.group = groupcache.NewGroup("example", 64<<20, groupcache.GetterFunc(c.load))
	c.pool.Set(name) // until the first list comes
	return c
}

// setPeers is called with each list that comes from the discovery, and returns
// the peers if they have changed. A key whose owner does not change stays where
// it is.
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
// that receives it: the first one may be older than the join of that peer.
//
// groupcache's ring puts all peers into an order, for each key another one, and
// the owner of a key is the first in a list. As each cache is in its own list,
// it asks only caches that come before it. So caches whose lists disagree, as
// they do for a moment after each change, never ask each other in a circle, in
// which each would wait for the next.
func withSelf(list []string, self string) []string {
	if i, found := slices.BinarySearch(list, self); !found {
		return slices.Insert(list, i, self)
	}
	return list
}

// encode makes a key fit to be a part of a path, as which groupcache sends it: a space, ".." or "//" would not arrive.
func encode(key string) string { return base64.RawURLEncoding.EncodeToString([]byte(key)) }

// load is called where the key belongs, once until it is evicted, however many ask for it.
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

// get answers /get?key=… at any of the caches.
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
