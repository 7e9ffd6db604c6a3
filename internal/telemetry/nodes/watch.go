package nodes

import (
	"slices"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
)

// Watch follows which nodes report their status. Make it with NewWatch. Its methods are safe for concurrent use.
type Watch struct {
	cfg   kafka.Config
	alive time.Duration

	mu    sync.Mutex
	book  *book
	heard map[string]time.Time // by this node's clock
}

// NewWatch returns a watch for which a node is alive as long after its latest status as for Live.
func NewWatch(cfg kafka.Config) *Watch { return NewWatchOf(cfg, aliveFor) }

// NewWatchOf is NewWatch with another time.
func NewWatchOf(cfg kafka.Config, alive time.Duration) *Watch {
	return &Watch{cfg: cfg, alive: alive, book: newBook(), heard: map[string]time.Time{}}
}

// Take reads records of smartlb-node-status.
func (w *Watch) Take(batch []kafka.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for _, r := range batch {
		if node, ok := w.book.take(r, w.cfg.Verify(r), now); ok {
			w.heard[node] = now
		}
	}
}

// Live returns the ids of the nodes that are alive and have a role, sorted. If the status of node self is signed, nodes without
// a signature do not count: any client may have written their status.
func (w *Watch) Live(role, self string) (ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	all := slices.DeleteFunc(w.book.list(), func(n Node) bool {
		return now.Sub(n.Timestamp) >= w.alive || now.Sub(w.heard[n.Node]) >= w.alive
	})
	signed := slices.ContainsFunc(all, func(n Node) bool { return n.Node == self && n.Key != "" })
	for _, n := range all {
		if slices.Contains(n.Roles, role) && (n.Key != "" || !signed) {
			ids = append(ids, n.Node)
		}
	}
	return ids
}
