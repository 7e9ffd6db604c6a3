package upstream

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Traffic counts the requests of one route to one service, since the pair exists. It has a shard for each processor, like
// a Histogram. Create it with NewTraffic. All methods are safe for concurrent use.
type Traffic struct {
	Route    string     // name of the route; empty: requests without one
	Duration *Histogram // of whole exchanges, except tunnels

	shards  []trafficShard
	denied  atomic.Uint64
	retried [RetryKinds]atomic.Uint64
	hedged  [HedgeKinds]atomic.Uint64
	failed  [FailureKinds]atomic.Uint64
}

type trafficShard struct {
	class             [StatusClasses]atomic.Uint64
	bytesIn, bytesOut atomic.Uint64
	_                 [64]byte // two cache lines
}

// StatusClasses is the number of classes of statuses: 1xx to 5xx, and 0 for requests that got no status.
const StatusClasses = 6

// FailureKinds limits the kinds of failures that a Traffic distinguishes. The caller numbers them.
const FailureKinds = 32

// RetryKinds limits the reasons of retries that a Traffic distinguishes. The caller numbers them.
const RetryKinds = 8

// HedgeKinds is the number of results of hedges that a Traffic distinguishes. The caller numbers them.
const HedgeKinds = 2

// StatusClassName returns the name of a class of statuses: 2xx, or none.
func StatusClassName(class int) string {
	return [StatusClasses]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}[class]
}

// NewTraffic returns counters at 0.
func NewTraffic(route string) *Traffic {
	return &Traffic{Route: route, Duration: NewHistogram(), shards: make([]trafficShard, shardCount())}
}

// Ending is what a Traffic counts of a finished request.
type Ending struct {
	Status            int   // sent to the client; 0: none
	DurationNs        int64 // of the whole exchange
	BytesIn, BytesOut int64 // of the bodies, or of the tunnel
	Failure           uint8 // of the last try, below FailureKinds; 0: none
	Tunnel            bool  // a tunnel lasts as long as its ends want: its duration is no latency
}

// Count counts a finished request. shard is any number that differs between connections. It does not allocate and takes
// no lock.
func (t *Traffic) Count(shard int, e Ending) {
	s := &t.shards[shard&(len(t.shards)-1)]
	class := e.Status / 100
	if class < 0 || class >= StatusClasses {
		class = 0
	}
	s.class[class].Add(1)
	if e.BytesIn > 0 {
		s.bytesIn.Add(uint64(e.BytesIn))
	}
	if e.BytesOut > 0 {
		s.bytesOut.Add(uint64(e.BytesOut))
	}
	if e.Failure != 0 && e.Failure < FailureKinds {
		t.failed[e.Failure].Add(1)
	}
	if !e.Tunnel {
		t.Duration.Observe(shard, e.DurationNs)
	}
}

// Retried counts a retry and its reason, below RetryKinds.
func (t *Traffic) Retried(reason uint8) { t.retried[reason].Add(1) }

// Hedged counts a hedge and its result, below HedgeKinds.
func (t *Traffic) Hedged(result uint8) { t.hedged[result].Add(1) }

// Denied counts a retry that the retry budget did not allow.
func (t *Traffic) Denied() { t.denied.Add(1) }

// Totals is a copy of the counters of a Traffic.
type Totals struct {
	Requests          [StatusClasses]uint64
	BytesIn, BytesOut uint64
	Retries           [RetryKinds]uint64
	Hedges            [HedgeKinds]uint64
	RetriesDenied     uint64
	Failures          [FailureKinds]uint64
}

// Load returns the counters. They are not one consistent snapshot.
func (t *Traffic) Load() Totals {
	out := Totals{RetriesDenied: t.denied.Load()}
	for i := range t.shards {
		s := &t.shards[i]
		for c := range s.class {
			out.Requests[c] += s.class[c].Load()
		}
		out.BytesIn += s.bytesIn.Load()
		out.BytesOut += s.bytesOut.Load()
	}
	for r := range t.hedged {
		out.Hedges[r] = t.hedged[r].Load()
	}
	for r := range t.retried {
		out.Retries[r] = t.retried[r].Load()
	}
	for f := range t.failed {
		out.Failures[f] = t.failed[f].Load()
	}
	return out
}

// maxFormerRoutes is how many routes that left are still counted for a service.
const maxFormerRoutes = 256

// traffics has the counters of each route to a service. The zero value is ready to use.
type traffics struct {
	mu sync.Mutex
	by map[string]*Traffic
}

// Traffic returns the counters of a route to the service. It creates them at the first call. A route that leaves and
// returns counts on.
func (s *Service) Traffic(route string) *Traffic {
	s.traffic.mu.Lock()
	defer s.traffic.mu.Unlock()
	t := s.traffic.by[route]
	if t == nil {
		if s.traffic.by == nil {
			s.traffic.by = map[string]*Traffic{}
		}
		t = NewTraffic(route)
		s.traffic.by[route] = t
	}
	return t
}

// Traffics returns the counters of all routes to the service, also of routes that left, sorted by name.
func (s *Service) Traffics() []*Traffic {
	s.traffic.mu.Lock()
	defer s.traffic.mu.Unlock()
	out := make([]*Traffic, 0, len(s.traffic.by))
	for _, t := range s.traffic.by {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *Traffic) int { return strings.Compare(a.Route, b.Route) })
	return out
}

// ForgetRoutes bounds the memory for routes that left: of more than 256 of them, it forgets all. current reports whether
// a route exists.
func (s *Service) ForgetRoutes(current func(route string) bool) {
	s.traffic.mu.Lock()
	defer s.traffic.mu.Unlock()
	former := 0
	for route := range s.traffic.by {
		if !current(route) {
			former++
		}
	}
	for route := range s.traffic.by {
		if former > maxFormerRoutes && !current(route) {
			delete(s.traffic.by, route)
		}
	}
}
