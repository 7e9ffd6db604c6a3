package upstream

import (
	"math"
	"sync/atomic"
)

// SlowAfter estimates the time within which 95 % of the requests of a service get a response head. It is a stochastic
// approximation (Robbins, Monro 1951): a request that takes longer moves the estimate up by a step, one that does not
// moves it down by a nineteenth of a step, so both balance when one of twenty takes longer. It needs only to know whether a
// request took longer: a request whose hedge answered first is counted too. The first requests give the first estimate.
//
// The zero value is ready to use. It is safe for concurrent use. An observation that is lost to a concurrent one does not
// matter.
type SlowAfter struct {
	count atomic.Uint32
	ns    atomic.Int64
}

const (
	slowFirst  = 20   // requests without an estimate; of twenty, about one is above the 95th percentile
	slowStep   = .05  // of the estimate
	slowShare  = .05  // of the requests above the estimate
	slowLowest = 1e6  // ns
	slowMost   = 60e9 // ns
)

// Load returns the estimate in nanoseconds, 0 before it is known.
func (s *SlowAfter) Load() int64 {
	if s.count.Load() < slowFirst {
		return 0
	}
	return s.ns.Load()
}

// Observe counts a request that got a response head after ns nanoseconds, or has none after them.
func (s *SlowAfter) Observe(ns int64) {
	now := s.ns.Load()
	if s.count.Load() < slowFirst {
		s.count.Add(1)
		s.ns.Store(clampSlow(max(now, ns)))
		return
	}
	step := -slowStep * slowShare
	if ns > now {
		step = slowStep * (1 - slowShare)
	}
	s.ns.Store(clampSlow(int64(float64(now) * math.Exp(step))))
}

func clampSlow(ns int64) int64 { return min(max(ns, slowLowest), slowMost) }
