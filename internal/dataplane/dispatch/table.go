package dispatch

import (
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/router"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// Table is the routing of one configuration. It is immutable; Swap replaces it as a whole.
type Table struct {
	Revision string
	Routes   *router.Table[*Route]
	Names    string // of all routes, for the text of a 404
}

// Route is the destination of a matched request.
type Route struct {
	Name    string
	Split   []Share       // at least one
	Total   uint64        // sum of the weights
	Timeout time.Duration // for the whole exchange, 0 none
	Retry   Retry
	HashOn  HashOn
}

// Share is one part of a split.
type Share struct {
	Service *upstream.Service
	Weight  uint64
	HTTP2   bool // its instances speak HTTP/2
	Strict  bool // read responses of its instances strictly
}

// Retry is the route's retry policy. A retry always goes to another instance and stays within the service's retry
// budget.
type Retry struct {
	Attempts      int           // retries: tries after the first
	OnConnect     bool          // connection refused, timed out or failed
	OnReset       bool          // reset or closed before a response head
	OnTimeout     bool          // no head within PerTryTimeout
	OnStatus      [8]uint64     // bit set of statuses 0..511
	PerTryTimeout time.Duration // to the response head, 0 none
}

// Set adds a status to OnStatus. Statuses of 512 and above are never retried.
func (r *Retry) Set(status int) {
	if status >= 0 && status < 512 {
		r.OnStatus[status/64] |= 1 << (status % 64)
	}
}

func (r *Retry) has(status int) bool {
	return status >= 0 && status < 512 && r.OnStatus[status/64]&(1<<(status%64)) != 0
}

// HashOn names the affinity key of ring_hash and maglev.
type HashOn struct {
	Kind HashKind
	Name string // HashHeader
}

// HashKind selects the source of the affinity key.
type HashKind uint8

// The kinds.
const (
	HashClient HashKind = iota // address of the client
	HashPath
	HashHeader
)
