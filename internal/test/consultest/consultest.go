// Package consultest is a catalog that answers as the health endpoint of Consul is documented to.
package consultest

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Query is a request that the catalog got.
type Query struct {
	Path, Token string // Token: of the header X-Consul-Token
	Query       string // not decoded
}

// Catalog has one service. It answers at once a query without an index or with another one than its own, and others when the
// answer changes or their wait has passed. It is safe for concurrent use.
type Catalog struct {
	mu      sync.Mutex
	index   uint64
	body    string
	changed chan struct{}
	queries []Query
}

// New returns a catalog without instances.
func New() *Catalog { return &Catalog{index: 1, body: "[]", changed: make(chan struct{})} }

// ServeHTTP answers a query of the health endpoint.
func (c *Catalog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q, _ := url.ParseQuery(r.URL.RawQuery)
	wait, _ := time.ParseDuration(q.Get("wait"))
	c.mu.Lock()
	c.queries = append(c.queries, Query{Path: r.URL.Path, Token: r.Header.Get("X-Consul-Token"), Query: r.URL.RawQuery})
	changed, current := c.changed, q.Get("index") == strconv.FormatUint(c.index, 10)
	c.mu.Unlock()
	if current {
		select {
		case <-changed:
		case <-time.After(wait):
		case <-r.Context().Done():
			return
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	w.Header().Set("X-Consul-Index", strconv.FormatUint(c.index, 10))
	_, _ = io.WriteString(w, c.body)
}

// Put replaces the answer and its index.
func (c *Catalog) Put(index uint64, body string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.index, c.body = index, body
	close(c.changed)
	c.changed = make(chan struct{})
}

// Change replaces the answer, with the next index.
func (c *Catalog) Change(body string) {
	c.mu.Lock()
	next := c.index + 1
	c.mu.Unlock()
	c.Put(next, body)
}

// Queries returns the queries until now, oldest first.
func (c *Catalog) Queries() []Query {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.queries)
}

// Entry returns an instance of a service as the health endpoint gives it. Without an address, that of the node counts, which is
// 10.0.9.9.
func Entry(node, service, id, address string, port int) string {
	return fmt.Sprintf(`{"Node": {"ID": "x", "Node": %q, "Address": "10.0.9.9", "Datacenter": "dc1", "Meta": {"consul-network-segment": "", "zone": "a"}},
		"Service": {"ID": %q, "Service": %q, "Tags": ["v2"], "Address": %q, "Port": %d, "Meta": {"zone": "b"}, "Weights": {"Passing": 10, "Warning": 1}}, "Checks": [{"Status": "passing"}]}`, node, id, service, address, port)
}
